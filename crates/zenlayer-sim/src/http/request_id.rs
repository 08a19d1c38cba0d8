//! Numbers that look random and are not: of the same seed come the same.

/// `T` and a UUID of version 4 in upper case (page "Responses").
pub fn request_id(seed: u64, counter: u64) -> String {
    let high = mix(mix(seed).wrapping_add(counter.wrapping_mul(2)));
    let low = mix(mix(seed).wrapping_add(counter.wrapping_mul(2).wrapping_add(1)));
    format!(
        "T{:08X}-{:04X}-4{:03X}-{:04X}-{:012X}",
        high >> 32,
        (high >> 16) & 0xFFFF,
        high & 0xFFF,
        0x8000 | ((low >> 48) & 0x3FFF),
        low & 0xFFFF_FFFF_FFFF
    )
}

/// A number from 0 up to 1, the `index`th of `seed`.
pub fn fraction(seed: u64, index: u64) -> f64 {
    // 53 bits are what a double holds exactly.
    #[allow(clippy::cast_precision_loss, reason = "53 bits fit a double")]
    let fraction = (mix(mix(seed).wrapping_add(index)) >> 11) as f64;
    fraction / 9_007_199_254_740_992.0
}

/// The finaliser of SplitMix64.
fn mix(seed: u64) -> u64 {
    let mut value = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}
