//! The provider's API: identifiers, wire types, signature, error table, client. Knows nothing of
//! Kubernetes.

mod answer;
mod client;
mod cloud;
mod credentials;
mod decode;
mod endpoint;
pub mod error;
mod ids;
mod signature;
mod types;

pub use answer::{Answer, ApiError, ReadError, Reading};
pub use client::{Client, ClientError, ClientOptions, Now};
pub use cloud::{Cloud, ModifyInstanceType};
pub use credentials::Credentials;
pub use endpoint::{DEFAULT_ENDPOINT, Endpoint, InvalidEndpoint};
pub use ids::{InstanceId, InstanceTypeId, InvalidId, OrderNumber, RequestId};
pub use signature::Signed;
pub use types::{ChargeType, Instance, InstanceState, PlanState, TypeStatus};
