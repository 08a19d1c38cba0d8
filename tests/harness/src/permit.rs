//! One permit in a process for what takes a whole machine: tests that start many processes, or order for
//! hundreds of objects. Beside each other they would only stretch each other's deadlines.

use tokio::sync::{Semaphore, SemaphorePermit};

static HEAVY: Semaphore = Semaphore::const_new(1);

/// Waits until no other heavy test runs. Keep what it gives to the end of the test; one that panics
/// gives it back too. Take it before anything with a deadline begins, and once in a test: a second one
/// would wait for the first.
pub async fn heavy() -> SemaphorePermit<'static> {
    HEAVY.acquire().await.expect("nobody closes it")
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        thread,
        time::Duration,
    };

    use super::heavy;

    /// As tests are: each on a thread and a runtime of its own.
    #[test]
    fn heavy_tests_run_one_after_another_though_one_of_them_fails() {
        static RUNNING: AtomicUsize = AtomicUsize::new(0);
        let test = |number| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be made").block_on(async {
                let _permit = heavy().await;
                let beside = RUNNING.fetch_add(1, Ordering::SeqCst);
                for _ in 0..5 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                RUNNING.fetch_sub(1, Ordering::SeqCst);
                assert!(number != 2, "this one fails");
                beside
            })
        };
        let tests: Vec<_> = (0..8).map(|number| thread::spawn(move || test(number))).collect();
        let ends: Vec<_> = tests.into_iter().map(|one| one.join().ok()).collect();
        let expected = (0..8).map(|number| (number != 2).then_some(0));
        assert_eq!(ends, expected.collect::<Vec<_>>(), "how many ran beside each");
    }
}
