//! The provider's API: identifiers, wire types, signature, error table, client. Knows nothing of
//! Kubernetes.

mod answer;
mod cloud;
mod credentials;
pub mod error;
mod ids;
mod types;

pub use answer::{Answer, ApiError, ReadError, Reading};
pub use cloud::{Cloud, ModifyInstanceType};
pub use credentials::Credentials;
pub use ids::{InstanceId, InstanceTypeId, InvalidId, OrderNumber, RequestId};
pub use types::{ChargeType, Instance, InstanceState, PlanState, TypeStatus};
