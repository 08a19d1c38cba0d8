//! What the provider offers, kept for a few minutes: the types of a zone, and list prices.

use std::{sync::Arc, time::Duration};

use moka::future::Cache;
use rust_decimal::Decimal;
use zenlayer::{CatalogueQuery, Cloud, Instance, InstanceTypeId, Offer, PriceInquiry, ReadError};

use crate::{
    controller::store::{Credential, Scope},
    lifecycle::{Prices, TypePrice},
};

/// How long an answer is good for.
const LIFE: Duration = Duration::from_secs(300);
/// How many answers are kept.
const MOST: u64 = 10_000;

type Catalogues = Cache<(Scope, CatalogueQuery), Arc<Vec<Offer>>>;
type PricesKept = Cache<(Scope, String), Option<Decimal>>;

/// The cache, shared by all passes. Concurrent readers of one answer share one call.
pub struct OfferCache {
    catalogues: Catalogues,
    prices: PricesKept,
}

impl Default for OfferCache {
    fn default() -> Self {
        Self {
            catalogues: Cache::builder().max_capacity(MOST).time_to_live(LIFE).build(),
            prices: Cache::builder().max_capacity(MOST).time_to_live(LIFE).build(),
        }
    }
}

fn catalogue_query(instance: &Instance) -> Option<CatalogueQuery> {
    let charge_type = instance.charge_type.clone();
    Some(CatalogueQuery { charge_type, zone_id: instance.zone_id.clone()? })
}

fn price_key(scope: &Scope, inquiry: &PriceInquiry) -> (Scope, String) {
    (scope.clone(), format!("{inquiry:?}"))
}

impl OfferCache {
    /// How many calls it takes to know the types on offer.
    pub fn calls_for_catalogue(&self, scope: &Scope, instance: &Instance) -> u32 {
        let query = catalogue_query(instance);
        let unknown =
            query.is_some_and(|query| !self.catalogues.contains_key(&(scope.clone(), query)));
        unknown.into()
    }

    /// How many calls it takes to know the prices of these types.
    pub fn calls_for_prices(
        &self,
        scope: &Scope,
        instance: &Instance,
        types: [&InstanceTypeId; 2],
    ) -> u32 {
        let unknown = |type_id: &&InstanceTypeId| {
            PriceInquiry::of(instance, (*type_id).clone())
                .is_some_and(|inquiry| !self.prices.contains_key(&price_key(scope, &inquiry)))
        };
        u32::try_from(types.iter().filter(|one| unknown(one)).count()).unwrap_or(2)
    }

    /// The types that the instance's zone offers for its charge type; none are known for an instance
    /// without a zone.
    pub async fn catalogue(
        &self,
        cloud: &dyn Cloud,
        credential: &Credential,
        instance: &Instance,
    ) -> Result<Vec<Offer>, ReadError> {
        let Some(query) = catalogue_query(instance) else { return Ok(Vec::new()) };
        let read = async {
            let reading = cloud.describe_catalogue(&credential.credentials, &query).await?;
            Ok::<_, ReadError>(Arc::new(reading.value))
        };
        let key = (credential.scope.clone(), query.clone());
        match self.catalogues.try_get_with(key, read).await {
            Ok(offers) => Ok(offers.as_ref().clone()),
            Err(error) => {
                tracing::info!(%error, "cannot read the types on offer; the provider decides");
                Err(error.as_ref().clone())
            }
        }
    }

    /// The list prices of the instance as it is, but of these types.
    pub async fn prices(
        &self,
        cloud: &dyn Cloud,
        credential: &Credential,
        instance: &Instance,
        declared: &InstanceTypeId,
    ) -> Prices {
        let price = async |type_id: &InstanceTypeId| TypePrice {
            type_id: type_id.clone(),
            price: self.price(cloud, credential, instance, type_id).await,
        };
        Prices { current: price(&instance.type_id).await, declared: price(declared).await }
    }

    async fn price(
        &self,
        cloud: &dyn Cloud,
        credential: &Credential,
        instance: &Instance,
        type_id: &InstanceTypeId,
    ) -> Result<Option<Decimal>, ReadError> {
        let Some(inquiry) = PriceInquiry::of(instance, type_id.clone()) else { return Ok(None) };
        let read = async {
            let reading = cloud.inquire_price(&credential.credentials, &inquiry).await?;
            Ok::<_, ReadError>(reading.value.original)
        };
        let key = price_key(&credential.scope, &inquiry);
        self.prices.try_get_with(key, read).await.map_err(|error| {
            tracing::info!(%error, %type_id, "cannot read a list price");
            error.as_ref().clone()
        })
    }
}
