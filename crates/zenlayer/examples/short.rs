//! Lists all machines; with the arguments INSTANCE TYPE it also changes the type of one.
use std::env::{args, var};
use zenlayer::{Answer, Client, ClientOptions, Cloud, Credentials, Found, Mutation};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::new(var("ZENLAYER_ENDPOINT")?.parse()?, ClientOptions::default())?;
    let (id, secret) = (var("ZENLAYER_ACCESS_KEY_ID")?, var("ZENLAYER_ACCESS_KEY_SECRET")?);
    let key = Credentials::access_key(id, secret);
    for (id, found) in client.list_instances(&key).await?.value {
        if let Found::Present(machine) = found {
            println!("{id}: {}, {}", machine.type_id, machine.state);
        }
    }
    let (Some(id), Some(to)) = (args().nth(1), args().nth(2)) else { return Ok(()) };
    client.ready(&key).await;
    let call = client.call(Mutation::Modify { to: to.parse()? }, id.parse()?);
    match client.mutate(&key, &call).await {
        Answer::Accepted { order_number, .. } => println!("{id}: ordered, {order_number:?}"),
        Answer::Refused(error) => println!("{id}: refused, nothing has changed: {error}"),
        Answer::NotSent { cause } => println!("{id}: not sent, so try again: {cause}"),
        Answer::Unknown { cause } => println!("{id}: look before you try again: {cause}"),
    }
    Ok(())
}
