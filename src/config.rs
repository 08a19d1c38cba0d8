//! The command line and the environment of `vm-operator`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::{
    api::{PrepaidDowngrade, PrepaidUpgrade},
    lifecycle::{Defaults, InvalidSelection, LeaseTimes, OrderLimits, Selection, Timing},
    telemetry::{LogFormat, USER_AGENT},
};
use zenlayer::{
    ClientOptions, DEFAULT_ENDPOINT, Endpoint, ExtraRoots, InvalidEndpoint, InvalidRoots, Rate,
};

/// Resizes existing Zenlayer Cloud virtual machines in place, as VmInstance objects declare.
#[derive(Debug, Parser)]
#[command(name = "vm-operator", version, about)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the controller.
    Run(Box<RunArgs>),
    /// Print the CustomResourceDefinition.
    Crds,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// The provider's API: https://HOST or https://HOST:PORT.
    #[arg(long, env = "ZENLAYER_ENDPOINT", default_value = DEFAULT_ENDPOINT)]
    pub endpoint: String,
    /// Accept plain http for a host that is not loopback. Signed requests can then be read and
    /// replayed by anybody on the way.
    #[arg(long, env = "ALLOW_INSECURE_ENDPOINT")]
    pub allow_insecure_endpoint: bool,
    /// PEM file of certificate authorities to trust for the endpoint (and for an https proxy)
    /// besides those of the system. Proxies come from HTTPS_PROXY, HTTP_PROXY and NO_PROXY.
    #[arg(long, env = "ENDPOINT_CA", value_name = "FILE")]
    pub endpoint_ca: Option<PathBuf>,
    /// Namespace in which the slots (Leases) are kept. Every operator that may change a machine must
    /// use the same one, wherever it runs.
    #[arg(long, env = "SLOT_NAMESPACE", default_value = "zenlayer-vm-operator")]
    pub slot_namespace: String,
    /// Serve only the objects in these namespaces, such as a,b; without it, in all of them.
    #[arg(long, env = "WATCH_NAMESPACES", value_name = "NAMESPACE,…", default_value = "")]
    pub watch_namespaces: String,
    /// Serve only the objects with these labels, such as shard=1 or 'shard in (1,2)'; without it, with any.
    #[arg(long, env = "SELECTOR", default_value = "")]
    pub selector: String,
    /// Serve only while holding a lease, of which there is one for each selection of objects. Without it
    /// (--leader-elect=false) nothing keeps a second process from serving the same objects.
    #[arg(
        long,
        env = "LEADER_ELECT",
        default_value_t = true,
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub leader_elect: bool,
    /// How long another process waits before it takes a lease that is not renewed any more.
    #[arg(long, env = "LEASE_DURATION", default_value = "35s", value_parser = duration)]
    pub lease_duration: Duration,
    /// How long a leader goes on after its last renewal.
    #[arg(long, env = "RENEW_DEADLINE", default_value = "30s", value_parser = duration)]
    pub renew_deadline: Duration,
    /// Pause between two attempts to take or to renew the lease.
    #[arg(long, env = "RETRY_PERIOD", default_value = "5s", value_parser = duration)]
    pub retry_period: Duration,
    /// Longest time from the provider's signature check to an effect that every read shows; at
    /// least 60s. An unknown outcome is settled 300s plus this after the call. If the operator's clock and
    /// the provider's Date header may both be ahead, by less than 240s together, make it longer by the
    /// smaller of the two.
    #[arg(long, env = "SETTLE_MARGIN", default_value = "300s", value_parser = duration)]
    pub settle_margin: Duration,
    /// What to do about a PREPAID change to a higher list price, where the object does not say.
    #[arg(long, env = "PREPAID_UPGRADE", value_enum, ignore_case = true, default_value = "allow")]
    pub prepaid_upgrade: PrepaidUpgrade,
    /// What to do about a PREPAID change to a lower list price, where the object does not say.
    #[arg(
        long,
        env = "PREPAID_DOWNGRADE",
        value_enum,
        ignore_case = true,
        default_value = "schedule"
    )]
    pub prepaid_downgrade: PrepaidDowngrade,
    /// Paid calls that may be accepted within an hour, over all objects. Then the others wait.
    /// At most 3000.
    #[arg(
        long,
        env = "MAX_ORDERS_PER_HOUR",
        default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(..=3000)
    )]
    pub max_orders_per_hour: u32,
    /// The same for the objects of one namespace; without it, half of that.
    #[arg(
        long,
        env = "MAX_ORDERS_PER_NAMESPACE_PER_HOUR",
        value_parser = clap::value_parser!(u32).range(..=3000)
    )]
    pub max_orders_per_namespace_per_hour: Option<u32>,
    /// The same for one object. At most 1000: the Lease of its machine holds them.
    #[arg(
        long,
        env = "MAX_ORDERS_PER_OBJECT_PER_HOUR",
        default_value_t = 4,
        value_parser = clap::value_parser!(u32).range(..=1000)
    )]
    pub max_orders_per_object_per_hour: u32,
    /// How long after the edit that asks for it a paid call is made, at the earliest: an edit that is
    /// taken back at once costs nothing.
    #[arg(long, env = "ORDER_DELAY", default_value = "2s", value_parser = duration)]
    pub order_delay: Duration,
    /// How long a change may take before it counts as overdue, and how long a machine that was stopped
    /// for one may stay off. More than twice the time after which a lost answer is settled.
    #[arg(long, env = "CHANGE_DEADLINE", default_value = "30m", value_parser = duration)]
    pub change_deadline: Duration,
    /// How long a graceful stop, or a start, may take.
    #[arg(long, env = "POWER_DEADLINE", default_value = "5m", value_parser = duration)]
    pub power_deadline: Duration,
    /// Calls to the provider's API per second for each credential, with bursts of the calls of a second.
    /// The provider publishes no figure; a 429 slows down by itself.
    #[arg(
        long,
        env = "REQUESTS_PER_SECOND",
        default_value = "5",
        value_parser = rate
    )]
    pub requests_per_second: Rate,
    /// How often a machine at rest is read. As many as 100 are read in one call.
    #[arg(long, env = "DRIFT_INTERVAL", default_value = "5m", value_parser = drift)]
    pub drift_interval: Duration,
    /// Passes over objects at once.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    pub concurrency: u16,
    /// Address of /livez, /readyz and /metrics; the default stands for every address, IPv4 and IPv6.
    #[arg(long, env = "HTTP_LISTEN", default_value = "[::]:8080")]
    pub http_listen: SocketAddr,
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,
    /// Filter in the syntax of RUST_LOG.
    #[arg(long, env = "LOG_FILTER", default_value = "info")]
    pub log_filter: String,
    #[command(flatten)]
    pub testing: TestingArgs,
}

/// Flags for tests of real processes; refused for an endpoint that is not loopback.
#[derive(Debug, Args)]
pub struct TestingArgs {
    /// Life of a signature, as the simulator is told too.
    #[arg(long, hide = true, value_parser = duration)]
    pub testing_signature_life: Option<Duration>,
    /// A settle margin below its minimum.
    #[arg(long, hide = true, value_parser = duration)]
    pub testing_settle_margin: Option<Duration>,
    /// All pauses between looks.
    #[arg(long, hide = true, value_parser = duration)]
    pub testing_poll: Option<Duration>,
    /// How long after the decision a paid call may still be sent.
    #[arg(long, hide = true, value_parser = duration)]
    pub testing_send_window: Option<Duration>,
    /// The pause between looks at an object at rest.
    #[arg(long, hide = true, value_parser = duration)]
    pub testing_drift: Option<Duration>,
    /// How long a graceful end waits for running passes.
    #[arg(long, hide = true, value_parser = duration)]
    pub testing_grace: Option<Duration>,
    /// How far the clock is ahead, as the simulator's is after it was stepped.
    #[arg(long, hide = true, value_parser = duration)]
    pub testing_clock_ahead: Option<Duration>,
    /// How long an answer is waited for, of the Kubernetes API and to a call that is made once.
    #[arg(long, hide = true, value_parser = duration)]
    pub testing_answer_limit: Option<Duration>,
    /// The pause between two looks at all slots.
    #[arg(long, hide = true, value_parser = duration)]
    pub testing_sweep: Option<Duration>,
}

/// Why the options do not fit together.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("--endpoint is not valid")]
    Endpoint(#[source] InvalidEndpoint),
    #[error("--endpoint is refused without --allow-insecure-endpoint")]
    InsecureEndpoint(#[source] InvalidEndpoint),
    #[error("--endpoint-ca {file}: cannot read the file", file = .file.display())]
    EndpointCaFile { file: PathBuf, source: std::io::Error },
    #[error("--endpoint-ca {file}", file = .file.display())]
    EndpointCa { file: PathBuf, source: InvalidRoots },
    #[error("--settle-margin is {}s: it must be at least 60s", .0.as_secs())]
    Margin(Duration),
    #[error(
        "--change-deadline is {}s: it must be more than {}s, which is twice 300s plus --settle-margin",
        .deadline.as_secs(),
        .least.as_secs()
    )]
    ChangeDeadline { deadline: Duration, least: Duration },
    #[error("--watch-namespaces or --selector is not valid")]
    Selection(#[source] InvalidSelection),
    #[error(
        "--lease-duration is {lease:?} and --renew-deadline is {renew:?}: the lease must last longer, or \
         another process would lead while this one still does"
    )]
    Lease { lease: Duration, renew: Duration },
    #[error(
        "--renew-deadline is {renew:?} and --retry-period is {retry:?}: it must be at least twice as long, \
         so that one renewal may fail"
    )]
    Renewal { renew: Duration, retry: Duration },
    #[error("--retry-period is {0:?}: it must be at least 100ms")]
    Retry(Duration),
    #[error(
        "--testing-… flags are refused for endpoint {0}: they are for a loopback simulator only"
    )]
    Testing(Endpoint),
}

/// A span of time such as 300s, 5m or 1h30m.
fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|error| format!("{error}; write it as 300s, 5m or 1h30m"))?;
    Duration::try_from(span).map_err(|_| "it must not be negative".to_owned())
}

/// Calls a second, such as 5 or 0.1.
fn rate(text: &str) -> Result<Rate, String> {
    let rate = text.parse().ok().and_then(Rate::per_second);
    rate.filter(|rate| (0.01..=1000.0).contains(&rate.get()))
        .ok_or_else(|| "write a number from 0.01 to 1000, such as 5 or 0.1".to_owned())
}

/// An interval of 30 s to one hour.
fn drift(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    let fits = Duration::from_secs(30) <= interval && interval <= Duration::from_secs(3600);
    if fits { Ok(interval) } else { Err("write an interval from 30s to 1h".to_owned()) }
}

impl RunArgs {
    pub fn endpoint(&self) -> Result<Endpoint, ConfigError> {
        let endpoint =
            Endpoint::parse(&self.endpoint, self.allow_insecure_endpoint).map_err(|error| {
                match error {
                    InvalidEndpoint::Insecure { .. } => ConfigError::InsecureEndpoint(error),
                    error => ConfigError::Endpoint(error),
                }
            })?;
        let TestingArgs {
            testing_signature_life,
            testing_settle_margin,
            testing_poll,
            testing_send_window,
            testing_drift,
            testing_grace,
            testing_clock_ahead,
            testing_answer_limit,
            testing_sweep,
        } = &self.testing;
        let testing = testing_signature_life.is_some()
            || testing_settle_margin.is_some()
            || testing_poll.is_some()
            || testing_send_window.is_some()
            || testing_drift.is_some()
            || testing_grace.is_some()
            || testing_clock_ahead.is_some()
            || testing_answer_limit.is_some()
            || testing_sweep.is_some();
        if testing && !endpoint.is_loopback() {
            return Err(ConfigError::Testing(endpoint));
        }
        Ok(endpoint)
    }

    pub fn client_options(&self) -> Result<ClientOptions, ConfigError> {
        let usual = ClientOptions::default();
        Ok(ClientOptions {
            // The controller knows what else the credential is used for.
            requests_per_second: None,
            total_timeout: self.testing.testing_answer_limit.unwrap_or(usual.total_timeout),
            extra_roots: self.extra_roots()?,
            user_agent: USER_AGENT.to_owned(),
            ..usual
        })
    }

    /// The authorities of `--endpoint-ca`; without it, none.
    pub fn extra_roots(&self) -> Result<ExtraRoots, ConfigError> {
        let Some(file) = &self.endpoint_ca else { return Ok(ExtraRoots::default()) };
        let pem = std::fs::read(file)
            .map_err(|source| ConfigError::EndpointCaFile { file: file.clone(), source })?;
        ExtraRoots::from_pem(&pem)
            .map_err(|source| ConfigError::EndpointCa { file: file.clone(), source })
    }

    pub fn defaults(&self) -> Result<Defaults, ConfigError> {
        Ok(Defaults {
            timing: self.timing()?,
            prepaid_upgrade: self.prepaid_upgrade,
            prepaid_downgrade: self.prepaid_downgrade,
            orders: OrderLimits {
                all: self.max_orders_per_hour,
                namespace: self
                    .max_orders_per_namespace_per_hour
                    .unwrap_or_else(|| self.max_orders_per_hour.div_ceil(2)),
                object: self.max_orders_per_object_per_hour,
            },
        })
    }

    /// The objects that are served.
    pub fn selection(&self) -> Result<Selection, ConfigError> {
        let names = self.watch_namespaces.split(',').filter(|_| !self.watch_namespaces.is_empty());
        Selection::parse(names, &self.selector).map_err(ConfigError::Selection)
    }

    pub fn lease_times(&self) -> Result<LeaseTimes, ConfigError> {
        let (lease, renew, retry) = (self.lease_duration, self.renew_deadline, self.retry_period);
        if retry < Duration::from_millis(100) {
            return Err(ConfigError::Retry(retry));
        }
        if renew < retry.saturating_mul(2) {
            return Err(ConfigError::Renewal { renew, retry });
        }
        if lease <= renew {
            return Err(ConfigError::Lease { lease, renew });
        }
        Ok(LeaseTimes { lease, renew, retry })
    }

    fn timing(&self) -> Result<Timing, ConfigError> {
        if self.settle_margin < Duration::from_secs(60) {
            return Err(ConfigError::Margin(self.settle_margin));
        }
        let usual = Timing::default();
        let life = self.testing.testing_signature_life.unwrap_or(usual.signature_life);
        let margin = self.testing.testing_settle_margin.unwrap_or(self.settle_margin);
        let mut timing = Timing::new(life, margin);
        timing.change_deadline = self.change_deadline;
        timing.power_deadline = self.power_deadline;
        timing.order_delay = self.order_delay;
        timing.drift = self.drift_interval;
        let least = timing.fence().saturating_mul(2);
        if self.change_deadline <= least {
            return Err(ConfigError::ChangeDeadline { deadline: self.change_deadline, least });
        }
        if let Some(window) = self.testing.testing_send_window {
            timing.send_window = window;
        }
        if let Some(poll) = self.testing.testing_poll {
            timing.poll = (poll, poll);
            // Each of these looks is at the plan, too.
            timing.young = Duration::ZERO;
            timing.drift = poll;
            timing.secret = poll;
        }
        if let Some(drift) = self.testing.testing_drift {
            timing.drift = drift;
            timing.secret = timing.secret.min(drift);
        }
        Ok(timing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_provider_is_told_that_the_operator_calls() {
        let Command::Run(args) = Cli::parse_from(["vm-operator", "run"]).command else {
            panic!("run was asked for")
        };
        let options = args.client_options().unwrap();
        assert_eq!(options.user_agent, USER_AGENT);
    }
}
