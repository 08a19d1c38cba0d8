//! Prints the certificate authorities that Mozilla trusts, as PEM: the file that the image has where a Linux system
//! has its own. They come from a crate, so that `Cargo.lock` pins them, with a checksum: the roots of the
//! machine that builds would make another image on each machine.

use base64::{Engine, prelude::BASE64_STANDARD};
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

fn main() {
    for root in TLS_SERVER_ROOT_CERTS {
        println!("-----BEGIN CERTIFICATE-----");
        let text = BASE64_STANDARD.encode(root);
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(64));
            println!("{line}");
            rest = after;
        }
        println!("-----END CERTIFICATE-----");
    }
}
