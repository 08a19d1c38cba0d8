//! A client of Zenlayer Cloud's `vm` API: identifiers, wire types, signature, error table and the calls
//! themselves. It knows nothing of who calls it.
//!
#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod answer;
mod batch;
mod causes;
mod client;
mod cloud;
mod credentials;
pub mod decode;
mod endpoint;
pub mod error;
mod exchange;
mod ids;
mod mutation;
mod pace;
mod request;
mod signature;
mod types;

pub use answer::{Answer, ApiError, ReadError, Reading};
pub use batch::{Batch, Found, InstanceIds, MOST_IDS};
pub use causes::with_causes;
pub use client::{Client, ClientError, ClientOptions, ExtraRoots, InvalidRoots};
pub use cloud::Cloud;
pub use credentials::Credentials;
pub use endpoint::{DEFAULT_ENDPOINT, Endpoint, InvalidEndpoint};
pub use exchange::{Ended, Exchange};
pub use ids::{InstanceId, InstanceTypeId, InvalidId, OrderNumber, RequestId};
pub use jiff::{SignedDuration, Timestamp};
pub use mutation::{Call, Mutation};
pub use pace::{Pace, Rate};
pub use request::{CatalogueQuery, PriceInquiry};
pub use rust_decimal::Decimal;
pub use secrecy::SecretString;
pub use signature::{SIGNATURE_LIFE, Signed};
pub use types::{
    ChargeType, Instance, InstanceState, Offer, PlanState, Price, SystemDisk, TypeStatus, Zone,
};
