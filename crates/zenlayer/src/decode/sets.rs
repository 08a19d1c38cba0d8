//! Answers that are lists.

use serde_json::Value;

use super::{DecodeError, Object, Success, instance, integer, owned, required, state, type_id};
use crate::{
    Batch, CatalogueQuery, Found, Instance, InstanceId, InstanceIds, InstanceState, Offer, Zone,
};

/// One page of all instances.
pub(crate) struct Page {
    /// An entry for each id of the page.
    pub entries: Batch<Instance>,
    /// How many there are on all pages.
    pub total: usize,
}

impl Success<'_> {
    /// The answer of `DescribeInstances` to a question without ids. An entry whose id cannot be read
    /// fails the whole: nobody could say what is missing.
    pub(crate) fn page(&self) -> Result<Page, DecodeError> {
        let total = integer(&self.response, "totalCount").and_then(|n| usize::try_from(n).ok());
        let total = total.ok_or_else(|| DecodeError::field("totalCount", "a count"))?;
        let entries = self.items("dataSet", |item| {
            let id = InstanceId::new(required(item, "instanceId")?)
                .map_err(|_| DecodeError::field("instanceId", "an instance id"))?;
            let found = match instance(item, &id) {
                Ok(value) => Found::Present(value),
                Err(error) => Found::Odd { cause: error.within(id.as_str()).to_string() },
            };
            Ok((id, found))
        })?;
        Ok(Page { entries: entries.into_iter().collect(), total })
    }

    /// The answer of `DescribeInstances` to a question about these ids.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] where there is no list `dataSet`; what is wrong with one entry is
    /// [`Found::Odd`].
    pub fn instances(&self, ids: &InstanceIds) -> Result<Batch<Instance>, DecodeError> {
        self.batch(ids, instance)
    }

    /// The answer of `DescribeInstancesStatus` to a question about these ids.
    ///
    /// # Errors
    ///
    /// As [`instances`](Self::instances).
    pub fn states(&self, ids: &InstanceIds) -> Result<Batch<InstanceState>, DecodeError> {
        self.batch(ids, |item, _| state(item))
    }

    /// The answer of `DescribeZoneInstanceConfigInfos`: the entries of the zone that was asked for.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]. One odd entry fails the whole: a type that is left out would look as if it
    /// were not offered.
    pub fn catalogue(&self, query: &CatalogueQuery) -> Result<Vec<Offer>, DecodeError> {
        let offers = self.items("instanceTypeQuotaSet", offer)?;
        Ok(offers.into_iter().filter(|offer| offer.zone_id == query.zone_id).collect())
    }

    /// The answer of `DescribeZones`.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]. One odd entry fails the whole.
    pub fn zones(&self) -> Result<Vec<Zone>, DecodeError> {
        self.items("zoneSet", |item| {
            Ok(Zone { id: required(item, "zoneId")?.to_owned(), name: owned(item, "zoneName") })
        })
    }

    fn list(&self, field: &str) -> Result<&Vec<Value>, DecodeError> {
        let list = self.response.get(field).and_then(Value::as_array);
        list.ok_or_else(|| DecodeError::field(field, "a list"))
    }

    fn items<T>(
        &self,
        field: &str,
        decode: impl Fn(&Object) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let item = |(index, entry): (usize, &Value)| {
            let place = format!("{field}[{index}]");
            let Some(object) = entry.as_object() else { return Err(DecodeError::NoObject(place)) };
            decode(object).map_err(|error| error.within(&place))
        };
        self.list(field)?.iter().enumerate().map(item).collect()
    }

    /// An entry for each id that was asked. What was not asked is passed over, but then the answer
    /// is not the one to this question, and an id that it lacks is not known to be missing.
    fn batch<T: PartialEq>(
        &self,
        ids: &InstanceIds,
        decode: impl Fn(&Object, &InstanceId) -> Result<T, DecodeError>,
    ) -> Result<Batch<T>, DecodeError> {
        let set = self.list("dataSet")?;
        let mut batch: Batch<T> = ids.iter().map(|id| (id.clone(), Found::Missing)).collect();
        let mut strangers = 0_usize;
        for entry in set {
            let asked = entry.as_object().and_then(|item| {
                let id = ids.get(item.get("instanceId")?.as_str()?)?;
                Some((item, id))
            });
            let Some((item, id)) = asked else {
                strangers += 1;
                continue;
            };
            let read = match decode(item, id) {
                Ok(value) => Found::Present(value),
                Err(error) => Found::Odd { cause: error.within(id.as_str()).to_string() },
            };
            if let Some(before) = batch.insert(id.clone(), read)
                && before != Found::Missing
                && batch.get(id) != Some(&before)
            {
                let cause = format!("{id} is in the data set twice, differently");
                batch.insert(id.clone(), Found::Odd { cause });
            }
        }
        let total = integer(&self.response, "totalCount");
        let cut = total.is_some_and(|total| usize::try_from(total).is_ok_and(|n| n > set.len()));
        if strangers > 0 || cut {
            let cause = format!(
                "the data set is not the one that was asked for ({} entries, {strangers} of them \
                 strange)",
                set.len()
            );
            for found in batch.values_mut().filter(|found| matches!(found, Found::Missing)) {
                *found = Found::Odd { cause: cause.clone() };
            }
        }
        Ok(batch)
    }
}

fn offer(item: &Object) -> Result<Offer, DecodeError> {
    let charge_types = item.get("internetChargeTypes").and_then(Value::as_array);
    Ok(Offer {
        zone_id: required(item, "zoneId")?.to_owned(),
        type_id: type_id(item, "instanceType")?,
        name: owned(item, "instanceTypeName"),
        cpu_count: integer(item, "cpuCount"),
        memory_gib: integer(item, "memory"),
        bandwidth_limit: integer(item, "internetMaxBandwidthOutLimit"),
        internet_charge_types: charge_types
            .map(|list| list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            .unwrap_or_default(),
    })
}
