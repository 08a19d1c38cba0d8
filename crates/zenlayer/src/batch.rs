//! Many instances in one read: what is asked, and what became of each id.

use std::collections::{BTreeMap, BTreeSet};

use super::{InstanceId, ReadError, Reading};

/// Most ids that the provider takes in one call (page "DescribeInstances").
pub const MOST_IDS: usize = 100;

/// 1 to 100 different ids. An empty list would ask for everything, a longer one is refused; neither
/// can be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceIds(BTreeSet<InstanceId>);

impl InstanceIds {
    /// This id alone.
    pub fn one(id: InstanceId) -> Self {
        Self(BTreeSet::from([id]))
    }

    /// Full batches, and one for the rest; none where there is no id. Equal ids are asked once.
    pub fn batches(ids: impl IntoIterator<Item = InstanceId>) -> Vec<Self> {
        let ids: Vec<InstanceId> = ids.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        ids.chunks(MOST_IDS).map(|chunk| Self(chunk.iter().cloned().collect())).collect()
    }

    /// The ids in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &InstanceId> {
        self.0.iter()
    }

    /// The id that reads like this, if it was asked.
    pub fn get(&self, text: &str) -> Option<&InstanceId> {
        self.0.get(text)
    }

    /// The id, where there is only one.
    pub fn only(&self) -> Option<&InstanceId> {
        self.0.first().filter(|_| self.0.len() == 1)
    }
}

/// What an answer says of one id.
#[derive(Debug, Clone, PartialEq)]
pub enum Found<T> {
    /// The id's entry.
    Present(T),
    /// The answer is whole and does not hold the id.
    Missing,
    /// The answer proves nothing about this id: its entry is odd, or the id is not there and the
    /// answer is not whole.
    Odd {
        /// What is wrong with it, for people.
        cause: String,
    },
}

/// An entry for each id that was asked, and for no other; of a
/// [list](crate::Client::list_instances), for each id that is there.
pub type Batch<T> = BTreeMap<InstanceId, Found<T>>;

impl<T> Reading<Batch<T>> {
    /// The entry of one id. `None`: the provider answered that there is no such instance.
    ///
    /// # Errors
    ///
    /// [`ReadError::Malformed`] where the answer proves nothing about the id, or it was not asked.
    pub fn into_one(mut self, id: &InstanceId) -> Result<Reading<Option<T>>, ReadError> {
        let (date, sent_at) = (self.date, self.sent_at);
        match self.value.remove(id) {
            Some(Found::Present(value)) => Ok(Reading { value: Some(value), date, sent_at }),
            Some(Found::Missing) => Ok(Reading { value: None, date, sent_at }),
            Some(Found::Odd { cause }) => Err(ReadError::Malformed { cause }),
            None => Err(ReadError::Malformed { cause: format!("instance {id} was not asked") }),
        }
    }
}
