//! All instances of a credential, read page by page: a whole list, or an error.

use super::Client;
use crate::{Batch, Credentials, Instance, ReadError, Reading, decode::Page, request};

/// Instances a page. The provider takes up to 1000; half of that stays far below the limit of a body.
const PAGE_SIZE: usize = 500;
/// A list that goes on beyond this is not believed.
const MOST_PAGES: usize = 200;

impl Client {
    /// `DescribeInstances` without ids: every instance that the credential may see, none of them
    /// [`Missing`](crate::Found::Missing). It reads pages of 500, each of which is a read with the
    /// tries and limits of one; `date` is the earliest of them.
    ///
    /// A list of several pages is no snapshot: an instance that comes or goes in between moves
    /// others from page to page. Where that shows in the provider's count, it is an error.
    ///
    /// # Errors
    ///
    /// [`ReadError`]; [`Malformed`](ReadError::Malformed) also where the pages do not add up to the
    /// count that the provider gives: then read it again.
    pub async fn list_instances(
        &self,
        credentials: &Credentials,
    ) -> Result<Reading<Batch<Instance>>, ReadError> {
        let Reading { value: Page { mut entries, total }, mut date, sent_at } =
            self.page(credentials, 1).await?;
        for number in 2..=MOST_PAGES {
            if entries.len() >= total {
                break;
            }
            let next = self.page(credentials, number).await?;
            let before = entries.len();
            entries.extend(next.value.entries);
            if next.value.total != total || entries.len() == before {
                return Err(not_whole(entries.len(), next.value.total));
            }
            date = date.zip(next.date).map(|(one, other)| one.min(other));
        }
        if entries.len() != total {
            return Err(not_whole(entries.len(), total));
        }
        Ok(Reading { value: entries, date, sent_at })
    }

    async fn page(
        &self,
        credentials: &Credentials,
        number: usize,
    ) -> Result<Reading<Page>, ReadError> {
        let body = request::page(number, PAGE_SIZE);
        self.read(credentials, "DescribeInstances", body, |body| body.page()).await
    }
}

fn not_whole(got: usize, total: usize) -> ReadError {
    let cause = format!("a list of {total} instances gave {got}: perhaps it changed meanwhile");
    ReadError::Malformed { cause }
}
