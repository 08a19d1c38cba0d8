//! Enumerations of the schema. The comment of each value is part of the schema, in the form in which
//! Kubernetes documents its own, so that `kubectl explain` shows it.

/// What [`choices!`] knows of one enumeration: each value with its sentence.
pub(super) type Values = &'static [(&'static str, &'static str)];

/// Defines an enumeration that is written as its variant's name. `Name: other` stands for every name that
/// this version does not know. (`$default` is always empty: it only tells which value carries the
/// attribute.)
macro_rules! choices {
    (
        $(#[doc = $about:literal])+
        $(#[derive($($derived:path),+)])?
        pub enum $name:ident { $($(#[doc = $doc:literal])+ $(#[default] $default:vis)? $value:ident $(: $other:ident)?,)+ }
    ) => {
        $(#[doc = $about])+
        #[derive(
            serde::Serialize, serde::Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash,
            $($($derived),+)?
        )]
        pub enum $name { $($(#[doc = $doc])+ $(#[default] $default)? $(#[serde($other)])? $value,)+ }

        impl $name {
            /// Every value, in the order of this file.
            pub const ALL: &[Self] = &[$(Self::$value,)+];

            /// How it is written.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$value => stringify!($value),)+ }
            }

            /// Every value with its sentence, in the order of this file.
            pub(super) const VALUES: $crate::api::choices::Values =
                &[$((stringify!($value), concat!($($doc),+)),)+];
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "description": concat!($($about),+).trim_ascii(),
                    "enum": [$(stringify!($value)),+],
                })
            }
        }
    };
}

pub(super) use choices;
