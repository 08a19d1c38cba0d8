//! Faults: what goes wrong, for which calls, and how often.

use serde::{Deserialize, Serialize};

/// A rule. It applies to the next `times` calls that match.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// The action; without it, every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The instance that the body names; without it, every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    #[serde(flatten)]
    pub kind: FaultKind,
    #[serde(default = "once")]
    pub times: u64,
}

fn once() -> u64 {
    1
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum FaultKind {
    /// The effect happens; the answer comes this much later.
    DelayAnswer { seconds: f64 },
    /// The call is refused with this code before anything happens.
    Error { status: u16, code: String },
    /// This body comes instead of the answer, before anything happens.
    Body { status: u16, body: String },
    /// The connection is closed before anything happens.
    DropBefore,
    /// The effect happens; the connection is closed without an answer.
    DropAfter,
}

impl Fault {
    fn matches(&self, action: &str, body: &[u8]) -> bool {
        let names = |id: &String| {
            let parsed: Result<serde_json::Value, _> = serde_json::from_slice(body);
            parsed.is_ok_and(|value| {
                value["instanceId"] == id.as_str()
                    || value["instanceIds"]
                        .as_array()
                        .is_some_and(|ids| ids.contains(&id.as_str().into()))
            })
        };
        self.action.as_ref().is_none_or(|wanted| wanted == action)
            && self.instance.as_ref().is_none_or(names)
    }
}

/// Takes the first fault that applies to a call, and uses it up by one.
pub fn take(faults: &mut Vec<Fault>, action: &str, body: &[u8]) -> Option<FaultKind> {
    let index = faults.iter().position(|fault| fault.times > 0 && fault.matches(action, body))?;
    let fault = faults.get_mut(index)?;
    fault.times -= 1;
    let kind = fault.kind.clone();
    if fault.times == 0 {
        faults.remove(index);
    }
    Some(kind)
}
