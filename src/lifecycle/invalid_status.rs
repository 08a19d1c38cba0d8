//! What is wrong with a status that somebody else wrote, and the checks that find it.

use zenlayer::{InstanceTypeId, InvalidId};

/// Why a status cannot be read back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidStatus {
    #[error("status.{field} is not valid")]
    Id { field: &'static str, source: InvalidId },
    #[error("status.{0} is not of the form that this version writes")]
    Part(String),
    #[error("status.change or status.power.change is a call of the other kind")]
    Kind,
}

fn at<T>(field: &'static str, result: Result<T, InvalidId>) -> Result<T, InvalidStatus> {
    result.map_err(|source| InvalidStatus::Id { field, source })
}

pub fn optional<T>(
    field: &'static str,
    value: Option<&String>,
    parse: fn(String) -> Result<T, InvalidId>,
) -> Result<Option<T>, InvalidStatus> {
    value.map(|value| at(field, parse(value.clone()))).transpose()
}

pub fn type_id(field: &'static str, value: &str) -> Result<InstanceTypeId, InvalidStatus> {
    at(field, InstanceTypeId::new(value))
}
