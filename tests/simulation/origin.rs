//! Who makes a request.

/// Who made a request.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    pub process: usize,
    /// The pass.
    pub task: u64,
    /// The request itself.
    pub request: u64,
    /// It lands after its pass was told that nobody knows.
    pub late: bool,
}
