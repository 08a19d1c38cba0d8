//! How a call is made at most once although the provider has no idempotency token.
//!
//! | file | what it says |
//! | --- | --- |
//! | `change_id`, `change` | one call, from its intent to its end |
//! | `lane` | what at most one change can hold: taking it needs a free one, and nothing forgets a holder |
//! | `slot` | the record of a machine: a lane for the type, a lane for the power state, and what the machine is brought back to |
//! | `fence` | when a request can no longer take effect, by the provider's clock and by our own |
//! | `ledger` | how many orders are allowed within an hour |

mod change;
mod change_id;
mod fence;
mod lane;
mod ledger;
mod slot;

pub use change::{Change, Size};
pub use change_id::ChangeId;
pub use fence::{Known, Witness};
pub use lane::{Expectation, FreeLane, Held, Holding, HoldingState, Lane, LaneName, leads_to};
pub use ledger::{Counted, Limit, OrderCount, OrderLimits};
pub use slot::{Restore, Slot, SlotRecord};
