//! The log of all exchanges, for tests that count and for the message of a failure.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use super::classify::Class;

/// One request, and what became of it so far.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// When the request had come in.
    pub at: SystemTime,
    pub class: Class,
    /// What the server answered, or a test in its place; `None`: nothing yet.
    pub status: Option<u16>,
    /// Whether the answer, or its beginning, was passed on to the operator.
    pub delivered: bool,
}

#[derive(Default)]
pub(super) struct Log(Mutex<Vec<Exchange>>);

impl Log {
    fn all(&self) -> MutexGuard<'_, Vec<Exchange>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request, and gives its place.
    pub fn begin(&self, class: Class) -> usize {
        let mut all = self.all();
        all.push(Exchange { at: SystemTime::now(), class, status: None, delivered: false });
        all.len() - 1
    }

    pub fn answered(&self, place: usize, status: u16) {
        self.all()[place].status = Some(status);
    }

    pub fn delivered(&self, place: usize) {
        self.all()[place].delivered = true;
    }

    /// Those that are meant, oldest first.
    pub fn entries(&self, meant: impl Fn(&Class) -> bool) -> Vec<Exchange> {
        self.all().iter().filter(|one| meant(&one.class)).cloned().collect()
    }

    /// How many have had an answer.
    pub fn answers(&self, meant: impl Fn(&Class) -> bool) -> usize {
        self.all().iter().filter(|one| one.delivered && meant(&one.class)).count()
    }

    /// The last exchanges, for the message of a failure.
    pub fn tail(&self) -> String {
        let all = self.all();
        let line = |one: &Exchange| {
            let Class { method, path, resource, names, instance, .. } = &one.class;
            let time = one.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let answer = match one.status {
                Some(status) => status.to_string(),
                None => "no answer yet".to_owned(),
            };
            let lost = if one.delivered || one.status.is_none() { "" } else { ", not passed on" };
            let (seconds, millis) = (time.as_secs() % 3600, time.subsec_millis());
            format!(
                "{:02}:{:02}.{millis:03} {method} {path} {resource} {} {}: {answer}{lost}",
                seconds / 60,
                seconds % 60,
                names.join(","),
                instance.as_deref().unwrap_or("-"),
            )
        };
        let lines: Vec<String> = all[all.len().saturating_sub(20)..].iter().map(line).collect();
        format!("the last of {} exchanges:\n  {}", all.len(), lines.join("\n  "))
    }
}
