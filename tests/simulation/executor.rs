//! How production futures are polled by hand: every call of a trait is a *point*. Its first poll
//! registers a request and is pending; the scheduler delivers the request to the world and hands the
//! answer back whenever it likes, or never.

use std::{
    any::Any,
    marker::PhantomData,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use zenlayer_vm_operator::{api::VmInstance, controller::Clock};

use crate::{ledger::PostInfo, moments::at, origin::Origin, world::World};

pub type Reply = Box<dyn Any + Send>;
type Deliver = Box<dyn FnOnce(&mut World, &Origin) -> Reply + Send>;
type Fail = Box<dyn FnOnce(Failure) -> Reply + Send>;

/// What kind of call a point is: what may happen to it depends on that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A read of Kubernetes.
    Ask,
    /// A write to Kubernetes.
    Write,
    /// A read of the cloud.
    Read,
    /// A mutating call of the cloud.
    Post,
    /// Nothing is sent: the process waits for its turn, and at least for so many milliseconds.
    Wait(i64),
}

/// Why a call has no answer of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    TimedOut,
    Reset,
    /// No byte left the process.
    NotSent,
    /// The API server answered that it would not.
    Refused,
}

impl Failure {
    pub fn text(self) -> &'static str {
        match self {
            Self::TimedOut => "time-out",
            Self::Reset => "connection reset",
            Self::NotSent => "connect: refused",
            Self::Refused => "the server is currently unable to handle the request",
        }
    }
}

/// A request in the air.
pub struct Request {
    pub id: u64,
    pub kind: Kind,
    pub origin: Origin,
    /// For people; empty unless the run is told.
    pub label: String,
    /// Of a mutating call: which.
    pub post: Option<PostInfo>,
    pub deliver: Option<Deliver>,
    pub fail: Option<Fail>,
}

/// The clocks of one process, in milliseconds of the provider's time.
#[derive(Clone, Copy, Default)]
pub struct Clocks {
    /// How far the wall clock is ahead.
    pub offset: i64,
    /// When the monotonic clock was at zero.
    pub zero: i64,
    /// For how long the monotonic clock was stopped.
    pub asleep: i64,
}

#[derive(Default)]
pub struct Inner {
    pub now: i64,
    pub clocks: [Clocks; 2],
    /// What the watch of each process has shown.
    pub caches: [Vec<Arc<VmInstance>>; 2],
    /// The pass that is being polled.
    pub task: u64,
    pub told: bool,
    pub registered: Vec<Request>,
    pub replies: Vec<(u64, Reply)>,
    /// Requests that nobody waits for any more.
    pub abandoned: Vec<u64>,
    next: u64,
}

/// What processes and scheduler share.
#[derive(Default)]
pub struct Hub(Mutex<Inner>);

impl Hub {
    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call of a trait. `deliver` is what it does to the world; `fail` is what the caller gets where
    /// there is no answer.
    pub fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        process: usize,
        kind: Kind,
        label: impl FnOnce() -> String,
        deliver: impl FnOnce(&mut World, &Origin) -> T + Send + 'static,
        fail: impl FnOnce(Failure) -> T + Send + 'static,
    ) -> Point<T> {
        let told = self.lock().told;
        let request = Request {
            id: 0,
            kind,
            origin: Origin { process, task: 0, request: 0, late: false },
            label: if told { label() } else { String::new() },
            post: None,
            deliver: Some(Box::new(move |world, origin| Box::new(deliver(world, origin)))),
            fail: Some(Box::new(move |failure| Box::new(fail(failure)))),
        };
        Point { hub: self.clone(), id: None, request: Some(request), reply: PhantomData }
    }
}

impl<T> Point<T> {
    /// Says which mutating call it is.
    pub fn of(mut self, post: PostInfo) -> Self {
        if let Some(request) = &mut self.request {
            request.post = Some(post);
        }
        self
    }
}

/// A call that waits for the scheduler.
pub struct Point<T> {
    hub: Arc<Hub>,
    id: Option<u64>,
    request: Option<Request>,
    reply: PhantomData<fn() -> T>,
}

impl<T> Unpin for Point<T> {}

impl<T: 'static> Future for Point<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        let mut inner = this.hub.lock();
        if let Some(mut request) = this.request.take() {
            inner.next += 1;
            request.id = inner.next;
            request.origin.request = inner.next;
            request.origin.task = inner.task;
            this.id = Some(request.id);
            inner.registered.push(request);
            return Poll::Pending;
        }
        let Some(index) = inner.replies.iter().position(|(id, _)| Some(*id) == this.id) else {
            return Poll::Pending;
        };
        let (_, reply) = inner.replies.swap_remove(index);
        this.id = None;
        Poll::Ready(*reply.downcast::<T>().expect("a point gets the reply of its own request"))
    }
}

impl<T> Drop for Point<T> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.hub.lock().abandoned.push(id);
        }
    }
}

/// The clocks of a process, as the controller asks for them.
pub struct VirtualClock {
    pub hub: Arc<Hub>,
    pub process: usize,
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        let inner = self.hub.lock();
        at(inner.now + inner.clocks[self.process].offset)
    }

    fn monotonic(&self) -> Duration {
        let inner = self.hub.lock();
        let Clocks { zero, asleep, .. } = inner.clocks[self.process];
        Duration::from_millis((inner.now - zero - asleep).max(0).unsigned_abs())
    }

    async fn sleep(&self, pause: Duration) {
        let least = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
        let label = || "pause".to_owned();
        self.hub.ask(self.process, Kind::Wait(least), label, |_, _| (), |_| ()).await;
    }
}
