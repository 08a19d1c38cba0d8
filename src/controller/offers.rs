//! What the provider offers, kept for a few minutes: the types of a zone, and list prices. What
//! cannot be read is absent, and the provider decides.

use std::time::Duration;

use moka::future::Cache;
use rust_decimal::Decimal;

use zenlayer::{CatalogueQuery, Cloud, Credentials, Instance, InstanceTypeId, Offer, PriceInquiry};

/// How long an answer is good for.
const LIFE: Duration = Duration::from_secs(300);
/// How many answers are kept.
const MOST: u64 = 10_000;

/// The cache, shared by all passes. Concurrent readers of one answer share one call.
pub struct OfferCache {
    catalogues: Cache<String, Vec<Offer>>,
    prices: Cache<String, Option<Decimal>>,
}

impl Default for OfferCache {
    fn default() -> Self {
        Self {
            catalogues: Cache::builder().max_capacity(MOST).time_to_live(LIFE).build(),
            prices: Cache::builder().max_capacity(MOST).time_to_live(LIFE).build(),
        }
    }
}

impl OfferCache {
    /// The types that the instance's zone offers for its charge type. `scope` names the credential.
    pub async fn catalogue(
        &self,
        cloud: &dyn Cloud,
        credentials: &Credentials,
        scope: &str,
        instance: &Instance,
    ) -> Option<Vec<Offer>> {
        let query = CatalogueQuery {
            charge_type: instance.charge_type.clone(),
            zone_id: instance.zone_id.clone()?,
        };
        let read = async {
            let reading = cloud.describe_catalogue(credentials, &query).await?;
            Ok::<_, zenlayer::ReadError>(reading.value)
        };
        let key = format!("{scope} {query:?}");
        match self.catalogues.try_get_with(key, read).await {
            Ok(offers) => Some(offers),
            Err(error) => {
                tracing::info!(%error, "cannot read the types on offer; the provider decides");
                None
            }
        }
    }

    /// The list price of the instance as it is, but of this type.
    pub async fn price(
        &self,
        cloud: &dyn Cloud,
        credentials: &Credentials,
        scope: &str,
        instance: &Instance,
        type_id: &InstanceTypeId,
    ) -> Option<Decimal> {
        let inquiry = PriceInquiry::of(instance, type_id.clone())?;
        let read = async {
            let reading = cloud.inquire_price(credentials, &inquiry).await?;
            Ok::<_, zenlayer::ReadError>(reading.value.original)
        };
        let key = format!("{scope} {inquiry:?}");
        match self.prices.try_get_with(key, read).await {
            Ok(price) => price,
            Err(error) => {
                tracing::info!(%error, %type_id, "cannot read a list price");
                None
            }
        }
    }
}
