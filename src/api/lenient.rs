//! How a status is read that another version, or a person, has written. What only describes the machine
//! or the conditions is dropped where it cannot be read; what an order may hang on is kept as it was
//! found, so that nothing is lost.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};
use serde_json::{Map, Value};

use super::VmInstanceStatus;

/// Parts that are made anew in each pass, or that only cost one more call if they are lost.
const DROPPED: &[&str] =
    &["observedGeneration", "phase", "instance", "refusal", "pendingDecision", "conditions"];

impl<'de> Deserialize<'de> for VmInstanceStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let whole = Value::deserialize(deserializer)?;
        if let Ok(status) = Self::deserialize(&whole) {
            return Ok(status);
        }
        let Value::Object(parts) = whole else {
            return Err(D::Error::custom("a status is an object"));
        };
        Ok(part_by_part(parts))
    }
}

fn part_by_part(parts: Map<String, Value>) -> VmInstanceStatus {
    let mut readable = Map::new();
    let mut unreadable = Map::new();
    for (name, value) in parts {
        let alone = Value::Object(Map::from_iter([(name.clone(), value.clone())]));
        if VmInstanceStatus::deserialize(&alone).is_ok() {
            readable.insert(name, value);
        } else if !DROPPED.contains(&name.as_str()) {
            unreadable.insert(name, value);
        }
    }
    let status = VmInstanceStatus::deserialize(&Value::Object(readable)).unwrap_or_default();
    VmInstanceStatus { unreadable, ..status }
}

impl Serialize for VmInstanceStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.unreadable.is_empty() {
            return Self::serialize(self, serializer);
        }
        let whole = Self::serialize(self, serde_json::value::Serializer);
        let mut whole = whole.map_err(S::Error::custom)?;
        if let Value::Object(parts) = &mut whole {
            parts.extend(self.unreadable.clone());
        }
        whole.serialize(serializer)
    }
}
