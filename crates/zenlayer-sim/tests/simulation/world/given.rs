//! A cloud that a test starts from, calls, and lets time pass in.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use zenlayer_sim::{
    config::Config,
    world::{Call, ConsoleChange, Effect, Order, Setup, World},
};

/// When every cloud starts: 2026-01-01T00:00:00Z.
pub const START: i64 = 1_767_225_600;
pub const DAY: i64 = 24 * 3600;

/// One instance of each kind. A change takes 30 s.
pub const BASE: &str = "
credentials: []
processingTime: 30s
balance: 1000
zones:
  - { id: OLD-A, resize: false }
  - id: LAB-A
    discount: 50
    offers:
      - { type: c.8c16g, chargeType: PREPAID, sold: false }
      - { type: c.4c8g, monthlyPrice: 100, hourlyPrice: 1, bandwidthLimit: 50 }
    stock: { c.8c16g: 1, c.2c4g: 0 }
instances:
  - { id: post, type: c.2c4g, chargeType: POSTPAID }
  - { id: pre, type: c.4c8g, chargeType: PREPAID, expiresIn: 15d, autoRenew: true }
  - { id: off, type: g.2c8g, chargeType: POSTPAID, state: STOPPED }
  - { id: bin, type: c.1c2g, chargeType: POSTPAID, state: RECYCLE }
  - { id: binning, type: c.1c2g, chargeType: POSTPAID, state: RECYCLING }
  - { id: busy, type: c.1c2g, chargeType: POSTPAID, state: REBUILDING }
  - { id: small, type: s.1c1g, chargeType: POSTPAID }
  - { id: old, type: c.1c2g, chargeType: POSTPAID, zone: OLD-A }
  - { id: lab, type: c.1c2g, chargeType: POSTPAID, zone: LAB-A }
";

pub struct Cloud {
    pub world: World,
    pub now: Timestamp,
    calls: u64,
}

/// The setup of [`BASE`] and more of the file.
pub fn given_setup(more: &str) -> Setup {
    let config: Config = serde_saphyr::from_str(&format!("{BASE}{more}"))
        .unwrap_or_else(|error| panic!("{more}: {error}"));
    let setup = config.setup();
    assert_eq!(setup.check(), Ok(()), "{more}");
    setup
}

/// The cloud of [`BASE`].
pub fn given() -> Cloud {
    given_with("")
}

/// The cloud of [`BASE`] with these switches, such as `guest: reboots`.
pub fn given_behaviour(switches: &str) -> Cloud {
    given_with(&format!("behaviour: {{ {switches} }}\n"))
}

pub fn given_with(more: &str) -> Cloud {
    given_from(&given_setup(more))
}

pub fn given_from(setup: &Setup) -> Cloud {
    let now = Timestamp::from_second(START).unwrap();
    Cloud { world: World::new(setup, now), now, calls: 0 }
}

impl Cloud {
    pub fn call_with(
        &mut self,
        effect: Effect,
        action: &str,
        body: &Value,
    ) -> Result<Value, String> {
        self.calls += 1;
        let (body, request_id) = (body.to_string(), format!("T{}", self.calls));
        let call = Call { action, body: body.as_bytes(), request_id: &request_id, effect };
        let answer = self.world.call(self.now, call);
        answer.map(Value::Object).map_err(|refused| format!("{} {}", refused.status, refused.code))
    }

    /// What an action answers, or its status and code.
    pub fn call(&mut self, action: &str, body: &Value) -> Result<Value, String> {
        self.call_with(Effect::Normal, action, body)
    }

    pub fn ok(&mut self, action: &str, body: Value) -> Value {
        self.call(action, &body).unwrap_or_else(|code| panic!("{action} {body}: {code}"))
    }

    /// `200`, or status and code.
    pub fn code(&mut self, action: &str, body: Value) -> String {
        self.call(action, &body).map_or_else(|code| code, |_| "200".to_owned())
    }

    /// Asks for a type, and gives the answer as [`Cloud::code`] does.
    pub fn modify(&mut self, id: &str, to: &str) -> String {
        self.code("ModifyInstanceType", json!({ "instanceId": id, "instanceTypeId": to }))
    }

    /// Asks for a type; gives the order number.
    pub fn order(&mut self, id: &str, to: &str) -> String {
        let body = json!({ "instanceId": id, "instanceTypeId": to });
        self.ok("ModifyInstanceType", body)["orderNumber"].as_str().unwrap().to_owned()
    }

    pub fn cancel(&mut self, id: &str) -> String {
        self.code("CancelInstanceDowngrade", json!({ "instanceId": id }))
    }

    /// Current type, target and status, as DescribeInstanceTypeStatus shows them.
    pub fn plan(&mut self, id: &str) -> String {
        let shown = self.ok("DescribeInstanceTypeStatus", json!({ "instanceId": id }));
        let field = |name: &str| match shown.get(name) {
            None => "absent".to_owned(),
            Some(Value::String(text)) => {
                format!("{text:?}").replace('"', "'").replace("''", "empty").replace('\'', "")
            }
            Some(other) => other.to_string(),
        };
        let [current, target, status] =
            ["instanceType", "modifiedInstanceType", "modifiedInstanceTypeStatus"].map(field);
        format!("{current} > {target} {status}")
    }

    /// The item of DescribeInstances.
    pub fn item(&mut self, id: &str) -> Value {
        let page = self.ok("DescribeInstances", json!({ "instanceIds": [id] }));
        page["dataSet"][0].clone()
    }

    /// The state, as DescribeInstancesStatus shows it; `gone` if it does not.
    pub fn state(&mut self, id: &str) -> String {
        let page = self.ok("DescribeInstancesStatus", json!({ "instanceIds": [id] }));
        page["dataSet"][0]["instanceStatus"].as_str().unwrap_or("gone").to_owned()
    }

    /// The ids that a filter of DescribeInstances finds.
    pub fn found(&mut self, filter: Value) -> Vec<String> {
        let page = self.ok("DescribeInstances", filter);
        let items = page["dataSet"].as_array().unwrap().iter();
        items.map(|item| item["instanceId"].as_str().unwrap().to_owned()).collect()
    }

    pub fn step(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
        self.world.advance(self.now);
    }

    pub fn console(&mut self, change: Value) -> Result<Value, String> {
        let change: ConsoleChange = serde_json::from_value(change.clone())
            .unwrap_or_else(|error| panic!("{change}: {error}"));
        self.world.console(self.now, change)
    }

    pub fn orders(&self) -> &[Order] {
        &self.world.books().orders
    }

    pub fn balance(&self) -> String {
        self.world.books().balance.normalize().to_string()
    }

    /// What was paid, by instance and reason, without POSTPAID use.
    pub fn paid(&self) -> Vec<String> {
        let charges = self.world.books().charges.iter();
        let shown = charges.map(|one| {
            let reason = format!("{:?}", one.reason);
            let reason = reason.split('(').next().unwrap().to_owned();
            format!("{} {reason} {}", one.instance_id, one.amount.normalize())
        });
        shown.filter(|one| !one.contains("Usage")).collect()
    }
}
