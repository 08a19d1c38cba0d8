//! Lists all machines that a credential may see, and what is planned for each. It changes nothing.

mod environment;

use std::{error::Error, process::ExitCode};

use zenlayer::{Cloud, Found, Reading};

#[tokio::main]
async fn main() -> ExitCode {
    environment::report(list().await)
}

async fn list() -> Result<(), Box<dyn Error>> {
    let (client, credentials) = environment::client()?;
    let Reading { value: machines, date, .. } = client.list_instances(&credentials).await?;
    for (id, found) in &machines {
        let machine = match found {
            Found::Present(machine) => machine,
            // The provider said something about it that this version does not understand.
            Found::Odd { cause } => {
                println!("{id:<20} not understood: {cause}");
                continue;
            }
            Found::Missing => continue,
        };
        let plan = client.describe_type_status(&credentials, id).await?.value;
        let plan =
            match plan.as_ref().and_then(|status| Some((&status.target, status.state.as_ref()?))) {
                Some((Some(target), state)) => format!("{target} ({state})"),
                Some((None, state)) => state.to_string(),
                None => "-".to_owned(),
            };
        let (type_id, state, charge) = (&machine.type_id, &machine.state, &machine.charge_type);
        println!("{id:<20} {type_id:<10} {state:<10} {charge:<10} plan {plan}");
    }
    let date = date.map_or_else(|| "an unknown time".to_owned(), |date| date.to_string());
    println!("{} machines, at {date} by the provider's clock", machines.len());
    Ok(())
}
