//! Pauses: exponential after failures that pass, spread over objects so that none act in step.

use std::time::Duration;

use super::Timing;

/// The pause after `failures` failures in a row, or as many looks at what nobody knows the end of:
/// 5 s, doubled up to the pace of any object, 5 min; spread by `spread`.
pub fn pause(failures: u32, timing: &Timing, spread: &str) -> Duration {
    let doubled = 2u32.saturating_pow(failures.saturating_sub(1).min(10));
    spread_over(timing.poll.0.saturating_mul(doubled).min(timing.drift), spread)
}

/// Moves `pause` by up to a tenth either way, always by the same share for the same `spread`
/// (the object's uid): a restart then causes no burst, and no randomness is needed.
pub fn spread_over(pause: Duration, spread: &str) -> Duration {
    let permille = u32::try_from((fnv(spread) >> 20) % 201).unwrap_or(100);
    pause * (900 + permille) / 1000
}

/// FNV-1a: any hash that mixes well would do; it only spreads and compares.
pub fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn doubling(first: Duration, tries: u32, longest: Duration) -> Duration {
    let doubled = 2u32.saturating_pow(tries.saturating_sub(1).min(16));
    first.saturating_mul(doubled).min(longest)
}

/// The pause before a call is made again whose answers were lost so often in a row.
pub fn before_another_call(tries: u32) -> Duration {
    match tries {
        0 | 1 => Duration::ZERO,
        _ => doubling(Duration::from_secs(600), tries - 1, Duration::from_secs(6 * 3600)),
    }
}

/// The pause before a machine is stopped again that was stopped so often without its change.
pub fn before_another_stop(tries: u32) -> Duration {
    doubling(Duration::from_secs(300), tries, Duration::from_secs(6 * 3600))
}

/// The pause before a machine is started again that did not start so often.
pub fn before_another_start(tries: u32) -> Duration {
    doubling(Duration::from_secs(10), tries, Duration::from_secs(600))
}
