//! Changes the type of one machine, and follows the change to its end. Arguments: INSTANCE TYPE, and
//! the seconds after which a call without an answer can have no later effect (360 if left out; a
//! simulator with a short signature life needs less).
//!
//! The call is made at most once a run. Where its answer is lost, the program waits until it can no
//! longer arrive, looks what became of it, and says so; it never guesses, and never calls again.

mod environment;

use std::{
    error::Error,
    process::ExitCode,
    time::{Duration, Instant},
};

use zenlayer::{
    Answer, Client, Cloud, Credentials, InstanceId, InstanceTypeId, Mutation, PlanState, ReadError,
    Reading, SIGNATURE_LIFE, Timestamp, TypeStatus, error::ErrorClass,
};

/// From the provider's check of the signature to an effect that reads show. No page says how long that
/// may take.
const MARGIN: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_secs(2);
/// The longest that a change is followed.
const PATIENCE: Duration = Duration::from_secs(1800);

struct Change {
    client: Client,
    credentials: Credentials,
    id: InstanceId,
    to: InstanceTypeId,
}

#[tokio::main]
async fn main() -> ExitCode {
    environment::report(change().await)
}

async fn change() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(id), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err("arguments: INSTANCE TYPE [SECONDS]".into());
    };
    let settle = match arguments.next() {
        Some(seconds) => Duration::from_secs(seconds.parse()?),
        None => SIGNATURE_LIFE + MARGIN,
    };
    let (client, credentials) = environment::client()?;
    let change = Change { client, credentials, id: id.parse()?, to: to.parse()? };

    let before = change.look().await?.value.ok_or("there is no such machine")?;
    if let Some(target) = before.target.as_ref().filter(|_| is_pending(&before)) {
        return Err(format!("a change to {target} is pending already").into());
    }
    if before.current == change.to {
        println!("{id} is of type {to} already");
        return Ok(());
    }
    println!("{id} is of type {}", before.current);
    change.order(settle).await?;
    change.follow().await
}

impl Change {
    /// The one call.
    async fn order(&self, settle: Duration) -> Result<(), Box<dyn Error>> {
        let Self { client, credentials, id, to } = self;
        client.ready(credentials).await;
        let call = client.call(Mutation::Modify { to: to.clone() }, id.clone());
        match client.mutate(credentials, &call).await {
            Answer::Accepted { order_number: Some(number), .. } => {
                println!("ordered, number {number}")
            }
            Answer::Accepted { order_number: None, .. } => println!("ordered, without a number"),
            Answer::NotSent { cause } => {
                return Err(format!("nothing was sent, so it can be run again: {cause}").into());
            }
            Answer::Refused(error) => {
                let advice = advice(error.class());
                return Err(format!("refused, and nothing has changed: {error}; {advice}").into());
            }
            Answer::Unknown { cause } => {
                println!("no answer, so it may have been ordered: {cause}");
                if !credentials.expires_requests() {
                    return Err(
                        "a call with a token may arrive at any time: ask the provider".into()
                    );
                }
                self.settle(call.signed_at, settle).await?;
            }
        }
        Ok(())
    }

    /// Waits until the call can have no later effect, and looks what became of it. What shows before
    /// that proves nothing: the call may still be on its way.
    async fn settle(&self, signed_at: Timestamp, settle: Duration) -> Result<(), Box<dyn Error>> {
        let (started, fence) = (Instant::now(), signed_at + settle);
        println!("looking what became of it once it is {fence} for the provider");
        let status = loop {
            let Reading { value, date, .. } = self.look().await?;
            // By the provider's clock and by this machine's: either may be wrong.
            let passed = match date {
                Some(date) => date > fence && started.elapsed() > settle,
                None => started.elapsed() > settle * 2,
            };
            if passed {
                break value.ok_or("the machine is gone")?;
            }
            tokio::time::sleep(PAUSE).await;
        };
        if status.current == self.to || self.is_planned(&status) {
            println!("it was ordered; its number is in the provider's console");
            return Ok(());
        }
        Err("nothing shows that it was ordered, and no call is on its way any more: make sure in the \
             provider's console, and run it again"
            .into())
    }

    /// Whether the type that is wanted is on its way, or scheduled.
    fn is_planned(&self, status: &TypeStatus) -> bool {
        is_pending(status) && status.target.as_ref() == Some(&self.to)
    }

    /// Until the type is in effect, or scheduled.
    async fn follow(&self) -> Result<(), Box<dyn Error>> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            let status = self.look().await?.value.ok_or("the machine is gone")?;
            if self.is_planned(&status) && status.state == Some(PlanState::WaitToEnable) {
                println!("scheduled: {} from the next billing cycle on", self.to);
                return Ok(());
            }
            if status.current == self.to && !is_pending(&status) {
                println!("{} is of type {}", self.id, self.to);
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err("it was ordered, and is not in effect after half an hour: ask the provider".into())
    }

    /// One look. Trouble that passes is waited out; it says nothing about the machine.
    async fn look(&self) -> Result<Reading<Option<TypeStatus>>, ReadError> {
        loop {
            match self.client.describe_type_status(&self.credentials, &self.id).await {
                Err(error)
                    if matches!(error.class(), ErrorClass::Transient | ErrorClass::Throttled) =>
                {
                    println!("cannot look, and will try again: {error}");
                    tokio::time::sleep(PAUSE).await;
                }
                read => return read,
            }
        }
    }
}

fn is_pending(status: &TypeStatus) -> bool {
    matches!(status.state, Some(PlanState::Processing | PlanState::WaitToEnable))
}

fn advice(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Terminal(_) => "it will be refused again until something changes",
        ErrorClass::Scarce(_) => "try again in some hours",
        ErrorClass::Busy(_) => "try again once the machine is at rest",
        ErrorClass::Throttled => "try again in a minute",
        ErrorClass::Credentials(_) => "mend the credential, the clock or the way to the provider",
        ErrorClass::Transient | ErrorClass::Unknown => "ask the provider",
    }
}
