//! Where an object stands. For each situation, what it says, which event it is worth, when to look again
//! and what is remembered stand side by side, in one file for each theme.

mod at_rest;
mod calling;
mod farewell;
mod held_back;
mod looking;
mod others;
mod power;
mod records;
mod told;
mod type_change;
mod words;

pub use at_rest::AtRest;
pub use calling::Calling;
pub use farewell::farewell;
pub use held_back::HeldBack;
pub use looking::{Looking, ReadProblem};
pub use others::Others;
pub use power::{Power, beside};
pub use records::Records;
pub use told::{AT_ONCE, Event, Memo, NextLook, Scene, Told, Worth, Written};
pub use type_change::{Problem, TypeChange, accepted};

macro_rules! themes {
    ($($theme:ident),+ $(,)?) => {
        /// Where the object stands, by theme.
        #[allow(clippy::large_enum_variant, reason = "few are made, and none is kept")]
        #[derive(Debug, Clone, PartialEq)]
        pub enum Situation { $($theme($theme),)+ }

        impl Situation {
            /// What it says, which event, when to look again, and what is remembered.
            pub fn told(&self, scene: &Scene) -> Told {
                match self { $(Self::$theme(theme) => theme.told(scene),)+ }
            }

            /// Whether nothing is left to do about the type for now, so that a machine that was stopped
            /// for it is started again.
            pub fn settles_the_type(&self) -> bool {
                match self { $(Self::$theme(theme) => theme.settles_the_type(),)+ }
            }
        }

        $(impl From<$theme> for Situation {
            fn from(theme: $theme) -> Self {
                Self::$theme(theme)
            }
        })+
    };
}

themes!(Looking, Records, Calling, Power, TypeChange, Others, AtRest, HeldBack);
