//! A call on its way in, and its answer on its way out.

use jiff::SignedDuration;
use rust_decimal::{Decimal, prelude::ToPrimitive};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use super::{Code, OptionalFields};

/// One call, after its signature and its version were checked. Both versions of the API are answered
/// alike: no difference between them is documented for these actions.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    pub action: &'a str,
    pub body: &'a [u8],
    pub request_id: &'a str,
    pub effect: Effect,
}

/// What becomes of a call that is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    #[default]
    Normal,
    /// Its effect begins so much later; until then nothing is seen of it, and nothing is refused
    /// because of it.
    After(SignedDuration),
    /// It never has an effect, though it may cost money.
    FailsSilently,
}

/// A refusal, with the documented HTTP status and code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub status: u16,
    pub code: String,
    pub message: String,
}

impl Refused {
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into() }
    }

    pub(super) fn by(code: &Code, message: impl Into<String>) -> Self {
        Self::new(code.status, &code.code, message)
    }

    /// The page "ModifyInstanceType" and those of the other actions.
    pub(super) fn not_found(id: &str) -> Self {
        Self::new(404, "INVALID_INSTANCE_NOT_FOUND", format!("instance {id} does not exist"))
    }
}

/// A refusal that is documented in one way.
pub(super) fn refusal(status: u16, code: &str, message: impl Into<String>) -> Refused {
    Refused::new(status, code, message)
}

/// A field that may be null or left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field<T> {
    Is(T),
    Null,
    Absent,
}

impl<T> Field<T> {
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// A value, or its lack as the simulation is told to spell it.
    pub fn optional(value: Option<T>, spelling: OptionalFields) -> Self {
        match (value, spelling) {
            (Some(value), _) => Self::Is(value),
            (None, OptionalFields::Null) => Self::Null,
            (None, OptionalFields::Absent) => Self::Absent,
        }
    }
}

impl<T: Serialize> Serialize for Field<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Is(value) => value.serialize(serializer),
            Self::Null | Self::Absent => serializer.serialize_none(),
        }
    }
}

/// A decimal as a JSON number: 14, 13.3. The samples show it so (InquiryPriceCreateInstance).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number(pub Decimal);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.to_i64() {
            Some(whole) if self.0.is_integer() => serializer.serialize_i64(whole),
            // The shortest digits that read as this number again.
            _ => serializer.serialize_f64(self.0.to_f64().unwrap_or(f64::MAX)),
        }
    }
}
