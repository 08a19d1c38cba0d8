//! One call from its bytes to its answer: faults, authorisation, world, envelope, log. No I/O; the
//! time of this machine is an argument.

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    actions::{self, API_PATH},
    authorise::{self, Account, Denied, text},
    clock::Clock,
    fault::{Draft, FaultKind, Faults, Play, Step, status_of},
    log::{self, Logged, RequestLog},
    request_id::request_id,
    settings::{Refusal, Settings, Transport},
};
use crate::world::{Call, Refused, World};

/// A request id is made of the epoch, and below it of the number of the request.
const EPOCH_SHIFT: u32 = 40;
/// The last epoch. In it nothing is started any more, or ids would come twice.
pub const LAST_EPOCH: u64 = (1 << (u64::BITS - EPOCH_SHIFT)) - 1;

/// A request as it arrived.
pub struct Arrival {
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    action: String,
    /// The path, if it is not the one of the API.
    path: Option<String>,
    /// The body, if it is JSON.
    parsed: Value,
    instances: Vec<String>,
}

impl Arrival {
    pub fn new(headers: HeaderMap, body: Vec<u8>) -> Self {
        // Bounded, because the action goes into the log.
        let action = text(&headers, "x-zc-action").unwrap_or_default().chars().take(64).collect();
        let parsed = serde_json::from_slice(&body).unwrap_or_default();
        let instances = log::instances(&parsed);
        Self { headers, body, action, path: None, parsed, instances }
    }

    /// Another path than the API's is one of another product, which is not simulated.
    #[must_use]
    pub fn posted_to(self, path: &str) -> Self {
        // Bounded, because it goes into the log.
        let other = (path != API_PATH).then(|| path.chars().take(64).collect());
        Self { path: other, ..self }
    }
}

/// What goes back, before it is written out.
pub struct Decided {
    pub draft: Draft,
    pub date: Option<HeaderValue>,
    /// The state that must be on the disk before the answer leaves.
    pub generation: u64,
}

/// All state behind the HTTP layer that a restart must not lose.
pub struct Snapshot {
    /// Counts the starts of a simulation, so that request ids never come twice.
    pub epoch: u64,
    pub clock: Clock,
    pub faults: Faults,
    pub world: World,
}

/// All state behind the HTTP layer.
pub struct Service {
    pub world: World,
    pub clock: Clock,
    pub faults: Faults,
    pub log: RequestLog,
    pub accounts: Vec<Account>,
    pub transport: Transport,
    /// Counts the changes of what a snapshot holds.
    pub generation: u64,
    epoch: u64,
    requests: u64,
}

/// The decision on a call: the text of the world's answer, or a refusal.
type Outcome = Result<String, Denied>;

impl Service {
    /// Starts a simulation, or goes on with a saved one.
    pub fn start(
        settings: &Settings,
        wall: Timestamp,
        saved: Option<Snapshot>,
        world: impl FnOnce(Timestamp) -> World,
    ) -> Self {
        let accounts = settings.credentials.iter().cloned().enumerate();
        let start = saved.unwrap_or_else(|| {
            let clock = Clock::start(&settings.clock, wall);
            let world = world(clock.now(wall));
            let mut faults = Faults::default();
            for fault in &settings.faults {
                faults.add(fault.clone());
            }
            Snapshot { epoch: 0, clock, faults, world }
        });
        Self {
            accounts: accounts.map(|(index, one)| Account::new(one, index)).collect(),
            transport: settings.transport.clone(),
            log: RequestLog::default(),
            generation: 1,
            epoch: start.epoch.saturating_add(1),
            requests: 0,
            clock: start.clock.resume(&settings.clock, wall),
            faults: start.faults,
            world: start.world,
        }
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            epoch: self.epoch,
            clock: self.clock.clone(),
            faults: self.faults.clone(),
            world: self.world.clone(),
        }
    }

    /// Goes back to a snapshot, in time too. Request ids go on, so that none comes twice.
    pub fn restore(&mut self, snapshot: Snapshot) {
        let Snapshot { epoch, clock, faults, world } = snapshot;
        self.epoch = self.epoch.max(epoch);
        self.clock = clock;
        self.faults = faults;
        self.world = world;
        self.generation += 1;
    }

    /// Brings the world to the present, and says when that is.
    pub fn advance(&mut self, wall: Timestamp) -> Timestamp {
        let now = self.clock.now(wall);
        self.world.advance(now);
        now
    }

    /// The faults of a call that has arrived. Rules are for the simulated API only.
    pub fn arrive(&mut self, arrival: &Arrival) -> Play {
        if arrival.path.is_some() {
            return Play::default();
        }
        let play = self.faults.take(&arrival.action, &arrival.instances);
        if !play.is_empty() {
            self.generation += 1;
        }
        play
    }

    fn next_id(&mut self) -> String {
        self.requests += 1;
        request_id(self.transport.seed, (self.epoch << EPOCH_SHIFT) | self.requests)
    }

    /// Refuses what is no call, and so enters no log.
    pub fn refuse(&mut self, wall: Timestamp, refusal: &Refusal, message: String) -> Decided {
        let id = self.next_id();
        let denied = Denied::as_set(refusal, message);
        Decided {
            draft: envelope(Err(denied), &id),
            date: self.date(wall, &Play::default()),
            generation: self.generation,
        }
    }

    /// Decides a call.
    pub fn decide(&mut self, wall: Timestamp, arrival: &Arrival, play: &Play) -> Decided {
        let now = self.clock.now(wall);
        let id = self.next_id();
        let (credential, outcome) = self.outcome(now, arrival, play, &id);
        let mut code =
            outcome.as_ref().map_or_else(|denied| denied.code.clone(), |_| "OK".to_owned());
        let mut draft = envelope(outcome, &id);
        if let Some(fault) = play.at(Step::Answer) {
            draft.alter(fault);
            if !play.reaches_service() {
                fault.name().to_uppercase().clone_into(&mut code);
            }
        }
        let dropped = matches!(
            play.at(Step::Delivery),
            Some(
                FaultKind::DropBefore {}
                    | FaultKind::DropAfter {}
                    | FaultKind::RefuseConnections { .. }
            )
        );
        self.log.record(Logged {
            at: now,
            action: arrival.action.clone(),
            path: arrival.path.clone(),
            instance: arrival.instances.first().map(|id| log::shortened(id)),
            code,
            status: if dropped { 0 } else { draft.status },
            request_id: id,
            credential,
            faults: play.names(),
            body: log::redacted(&arrival.body, &arrival.parsed),
        });
        Decided { draft, date: self.date(wall, play), generation: self.generation }
    }

    fn outcome(
        &mut self,
        now: Timestamp,
        arrival: &Arrival,
        play: &Play,
        request_id: &str,
    ) -> (Option<String>, Outcome) {
        let (mut credential, mut outcome) = (None, Err(Denied::new(500, "DROPPED", "not decided")));
        if play.reaches_service() {
            let request = authorise::Request {
                headers: &arrival.headers,
                body: &arrival.body,
                action: &arrival.action,
                other_path: arrival.path.as_deref(),
                now: now.checked_add(play.clock_skew()).unwrap_or(now),
            };
            let (name, admitted) = authorise::admit(&mut self.accounts, &self.transport, &request);
            credential = name.map(str::to_owned);
            outcome = admitted.and_then(|()| self.call(now, arrival, play, request_id));
        }
        if let Some(FaultKind::Error { code, status, message, retry_after }) =
            play.at(Step::Decision)
        {
            let status = status.unwrap_or_else(|| status_of(code));
            let message = message.as_deref().unwrap_or("as a fault asks for");
            let denied = Denied::new(status, code, message);
            outcome = Err(Denied { retry_after: *retry_after, ..denied });
        }
        (credential, outcome)
    }

    fn call(
        &mut self,
        now: Timestamp,
        arrival: &Arrival,
        play: &Play,
        request_id: &str,
    ) -> Outcome {
        if !actions::reads_only(&arrival.action) {
            self.generation += 1;
        }
        let call = Call {
            action: &arrival.action,
            body: &arrival.body,
            request_id,
            effect: play.effect(),
        };
        let refused =
            |refused: Refused| Denied::new(refused.status, &refused.code, refused.message);
        self.world.answer(now, call).map_err(refused)
    }

    /// The Date header: the service's clock, and the faults that move it.
    fn date(&self, wall: Timestamp, play: &Play) -> Option<HeaderValue> {
        let skew = match play.at(Step::Date) {
            Some(FaultKind::DateMissing {}) => return None,
            Some(FaultKind::DateSkew { seconds }) => {
                SignedDuration::try_from_secs_f64(*seconds).unwrap_or_default()
            }
            _ => SignedDuration::ZERO,
        };
        let now = self.clock.now(wall);
        let shown = now.checked_add(play.clock_skew()).and_then(|now| now.checked_add(skew));
        Some(imf_fixdate(shown.unwrap_or(now)))
    }
}

/// The form of a Date header.
pub fn imf_fixdate(time: Timestamp) -> HeaderValue {
    let text = time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

/// The two-level envelope of a success, or the flat object of a refusal (page "Responses").
fn envelope(outcome: Outcome, request_id: &str) -> Draft {
    match outcome {
        // The world's fields follow as they are: parsing a large answer again would cost more than
        // making it.
        Ok(fields) => {
            let fields = fields.strip_prefix('{').unwrap_or("}");
            let comma = if fields == "}" { "" } else { "," };
            let id = format!("{{\"requestId\":\"{request_id}\"");
            Draft::json(200, format!("{id},\"response\":{id}{comma}{fields}}}"))
        }
        Err(Denied { status, code, message, retry_after }) => {
            let body = json!({ "requestId": request_id, "code": code, "message": message });
            let mut draft = Draft::json(status, body.to_string());
            if let Some(seconds) = retry_after {
                let after: (HeaderName, _) = (header::RETRY_AFTER, HeaderValue::from(seconds));
                draft.headers.push(after);
            }
            draft
        }
    }
}
