//! Identifiers of the provider, validated once. All of them are opaque: never parsed as a number,
//! never taken apart. (The provider documents them as strings; many are long decimal numbers.)

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a string is not an identifier of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} must be 1 to {max} characters of {alphabet}, got {got}")]
pub struct InvalidId {
    kind: &'static str,
    max: usize,
    alphabet: &'static str,
    got: String,
}

/// Shows a bad value without letting an over-long or unprintable one flood a message.
fn shown(value: &str) -> String {
    let length = value.chars().count();
    if length > 80 {
        let start: String = value.chars().take(40).collect();
        format!("{start:?}… ({length} characters)")
    } else {
        format!("{value:?}")
    }
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $max:literal, $alphabet:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks length and alphabet; the value is kept as it is.
            ///
            /// # Errors
            ///
            /// [`InvalidId`], which says what is allowed.
            pub fn new(value: impl Into<String>) -> Result<Self, InvalidId> {
                let value = value.into();
                let valid: fn(&str) -> bool = $valid;
                if value.is_empty() || value.len() > $max || !valid(&value) {
                    let got = shown(&value);
                    return Err(InvalidId { kind: $kind, max: $max, alphabet: $alphabet, got });
                }
                Ok(Self(value))
            }

            /// As it came, and as it is sent.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        /// So that a map by ids can be asked with text of the wire.
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(value: &str) -> Result<Self, InvalidId> {
                Self::new(value)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(value: String) -> Result<Self, InvalidId> {
                Self::new(value)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), self.0)
            }
        }
    };
}

identifier! {
    /// Id of a virtual machine, as `DescribeInstances` shows it: 1 to 64 letters, digits, `-` and
    /// `_`. (No page gives a grammar.)
    InstanceId, "instanceId", 64, "letters, digits, '-' and '_'",
    |value| value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

identifier! {
    /// Id of an instance type (the provider's "model"), such as `c.2c4g`: 1 to 64 letters, digits,
    /// `.`, `-` and `_`, the first a letter or a digit. Its size is never read from its name.
    InstanceTypeId, "instanceTypeId", 64,
    "letters, digits, '.', '-' and '_', starting with a letter or a digit",
    |value| {
        value.starts_with(|c: char| c.is_ascii_alphanumeric())
            && value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
    }
}

identifier! {
    /// Number of a paid order: 1 to 128 printable characters. Decimal in all samples, yet documented
    /// as a string: opaque.
    OrderNumber, "orderNumber", 128, "printable characters",
    |value| value.chars().all(|c| !c.is_control())
}

identifier! {
    /// Id that the provider gives to every answer, and its support asks for: 1 to 128 printable
    /// characters.
    RequestId, "requestId", 128, "printable characters",
    |value| value.chars().all(|c| !c.is_control())
}
