//! Reproducible chance: the same seed gives the same numbers on every machine.

/// splitmix64: small, fast, and good enough to explore with.
#[derive(Clone)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        let mut rng = Self(seed.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1));
        rng.next();
        rng
    }

    /// A source of its own, so that what one part of the run draws does not move another part.
    pub fn fork(&mut self) -> Self {
        Self::new(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// A number of this range, both ends included.
    pub fn range(&mut self, from: i64, to: i64) -> i64 {
        from + self.below((to - from + 1).unsigned_abs()).cast_signed()
    }

    /// True in so many of a thousand.
    pub fn chance(&mut self, permille: u64) -> bool {
        permille > 0 && self.below(1000) < permille
    }

    /// How often one kind of trouble happens in one run: mostly never, seldom a lot. Uniform walks
    /// find nothing.
    pub fn odds(&mut self) -> u64 {
        self.of(&[0, 0, 0, 20, 100, 300, 700])
    }

    pub fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[usize::try_from(self.below(items.len() as u64)).unwrap_or_default()]
    }
}
