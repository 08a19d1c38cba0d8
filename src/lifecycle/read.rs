//! What can be read of the world.

/// Something that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Read {
    Instance,
    Plan,
    /// The slot, as it is known.
    Slot,
    /// The slot, past every cache.
    SlotAnew,
    /// How many orders were made within the last hour.
    Orders,
    /// The types on offer.
    Catalogue,
    /// The list prices of the type in effect and of the declared one.
    Prices,
    /// Instance, plan and slot once more, for a call: now, and together.
    ForACall,
}
