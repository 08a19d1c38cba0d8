fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("crds") => match zenlayer_vm_operator::api::crd_yaml() {
            Ok(y) => print!("{y}"),
            Err(e) => eprintln!("{e}"),
        },
        _ => {}
    }
}
