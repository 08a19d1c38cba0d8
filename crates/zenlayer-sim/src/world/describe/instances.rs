//! DescribeInstances: the filters, and one item.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::page::{Page, page, time};
use crate::world::{
    ChargeType, DataDisk, Instance, Nic, OptionalFields, Refused, State, SystemDisk, World,
    answer::{Field, Number},
    instance::BY_TRAFFIC_PACKAGE,
    parameters::{IDS, Parameters, TAGS, address, tag_length},
};

/// Kinds of charging for traffic; the last one is of older pages and of Terraform only.
pub(super) const INTERNET_CHARGE_TYPES: &[&str] = &[
    "ByBandwidth",
    BY_TRAFFIC_PACKAGE,
    "ByClusterBandwidth95",
    "BandwidthCluster",
    "ByInstanceBandwidth95",
];

/// Those of the current pages.
pub(super) const CURRENT_CHARGE_TYPES: &[&str] =
    &["ByBandwidth", BY_TRAFFIC_PACKAGE, "ByClusterBandwidth95", "BandwidthCluster"];

/// What an instance must be like; what is left out lets all pass.
struct Filter<'p> {
    zone: Option<&'p str>,
    image: Option<&'p str>,
    model: Option<&'p str>,
    key: Option<&'p str>,
    subnet: Option<&'p str>,
    security_group: Option<&'p str>,
    resource_group: Option<&'p str>,
    name: Option<&'p str>,
    state: Option<&'p str>,
    internet_charge_type: Option<&'p str>,
    public: Vec<&'p str>,
    private: Vec<&'p str>,
    tag_keys: Vec<&'p str>,
    tags: Vec<(&'p str, &'p str)>,
}

impl<'p> Filter<'p> {
    fn read(parameters: &Parameters<'p>) -> Result<Self, Refused> {
        let states = State::ALL.map(State::name);
        let filter = Self {
            zone: parameters.text("zoneId")?,
            image: parameters.text("imageId")?,
            model: parameters.text("instanceType")?,
            key: parameters.text("keyId")?,
            subnet: parameters.text("subnetId")?,
            security_group: parameters.text("securityGroupId")?,
            resource_group: parameters.text("resourceGroupId")?,
            name: parameters.text("instanceName")?,
            state: parameters.one_of("instanceStatus", &states)?,
            internet_charge_type: parameters.one_of("internetChargeType", INTERNET_CHARGE_TYPES)?,
            public: parameters.texts("publicIpAddresses", IDS)?,
            private: parameters.texts("privateIpAddresses", IDS)?,
            tag_keys: parameters.texts("tagKeys", TAGS)?,
            tags: tags(parameters)?,
        };
        for (name, texts) in
            [("publicIpAddresses", &filter.public), ("privateIpAddresses", &filter.private)]
        {
            texts.iter().try_for_each(|text| address(name, text))?;
        }
        filter.tag_keys.iter().try_for_each(|key| tag_length("tagKeys", key))?;
        Ok(filter)
    }

    fn keeps(&self, instance: &Instance) -> bool {
        let details = &instance.details;
        let any = |wanted: &[&str], own: &[String]| {
            wanted.is_empty() || own.iter().any(|one| wanted.contains(&one.as_str()))
        };
        is(self.zone, &instance.zone)
            && is(self.image, &details.image_id)
            && is(self.model, &instance.type_id)
            && is(self.key, details.key_id.as_deref().unwrap_or_default())
            && is(self.subnet, &details.subnet_id)
            && self
                .security_group
                .is_none_or(|wanted| details.security_group_ids.iter().any(|group| group == wanted))
            && is(self.resource_group, &details.resource_group_id)
            && self.name.is_none_or(|wanted| name_matches(wanted, &instance.name))
            && is(self.state, instance.state.name())
            && is(self.internet_charge_type, &details.internet_charge_type)
            && any(&self.public, &details.public_ip_addresses)
            && any(&self.private, &details.private_ip_addresses)
            && self.tag_keys.iter().all(|key| details.tags.contains_key(*key))
            && self
                .tags
                .iter()
                .all(|(key, value)| details.tags.get(*key).is_some_and(|own| own == value))
    }
}

fn is(wanted: Option<&str>, own: &str) -> bool {
    wanted.is_none_or(|wanted| wanted == own)
}

/// Exact; fuzzy only if it ends with `*` (page "DescribeInstances").
fn name_matches(wanted: &str, name: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(part) => name.contains(part),
        None => wanted == name,
    }
}

fn tags<'p>(parameters: &Parameters<'p>) -> Result<Vec<(&'p str, &'p str)>, Refused> {
    let tag = |tag: Parameters<'p>| {
        let (key, value) = (tag.required("key")?, tag.required("value")?);
        tag_length("tags", key)?;
        tag_length("tags", value)?;
        Ok((key, value))
    };
    parameters.objects("tags", TAGS)?.into_iter().map(tag).collect()
}

pub fn instances<'w>(
    world: &'w World,
    parameters: &Parameters<'_>,
) -> Result<Page<Item<'w>>, Refused> {
    let filter = Filter::read(parameters)?;
    let optional = world.rules.behaviour.optional_fields;
    page(
        world,
        "DescribeInstances",
        parameters,
        |seen| filter.keeps(seen.instance),
        |seen| Item::of(seen.instance, optional),
    )
}

/// One instance.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Item<'w> {
    instance_id: &'w str,
    instance_name: &'w str,
    zone_id: &'w str,
    instance_type: &'w str,
    cpu_count: i64,
    memory: i64,
    image_id: &'w str,
    image_name: &'w str,
    instance_charge_type: &'w str,
    internet_charge_type: &'w str,
    internet_max_bandwidth_out: i64,
    #[serde(skip_serializing_if = "Field::is_absent")]
    period: Field<i64>,
    create_time: String,
    #[serde(skip_serializing_if = "Field::is_absent")]
    expired_time: Field<String>,
    instance_status: &'w str,
    auto_renew: bool,
    public_ip_addresses: &'w [String],
    public_ipv6_addresses: &'w [String],
    private_ip_addresses: &'w [String],
    security_group_ids: &'w [String],
    subnet_id: &'w str,
    resource_group_id: &'w str,
    resource_group_name: &'w str,
    #[serde(skip_serializing_if = "Field::is_absent")]
    traffic_package_size: Field<Number>,
    system_disk: &'w SystemDisk,
    data_disks: &'w [DataDisk],
    #[serde(skip_serializing_if = "Field::is_absent")]
    key_id: Field<&'w str>,
    nic: &'w Nic,
    tags: Tags<'w>,
}

impl<'w> Item<'w> {
    fn of(instance: &'w Instance, optional: OptionalFields) -> Self {
        let details = &instance.details;
        let prepaid = instance.charge_type == ChargeType::Prepaid;
        Self {
            instance_id: &instance.id,
            instance_name: &instance.name,
            zone_id: &instance.zone,
            instance_type: &instance.type_id,
            cpu_count: instance.cpu_count,
            memory: instance.memory,
            image_id: &details.image_id,
            image_name: &details.image_name,
            instance_charge_type: instance.charge_type.name(),
            internet_charge_type: &details.internet_charge_type,
            internet_max_bandwidth_out: instance.bandwidth,
            period: Field::optional(prepaid.then_some(instance.period), optional),
            create_time: time(instance.created_at),
            expired_time: Field::optional(instance.expires_at.map(time), optional),
            instance_status: instance.state.name(),
            auto_renew: instance.auto_renew,
            public_ip_addresses: &details.public_ip_addresses,
            public_ipv6_addresses: &details.public_ipv6_addresses,
            private_ip_addresses: &details.private_ip_addresses,
            security_group_ids: &details.security_group_ids,
            subnet_id: &details.subnet_id,
            resource_group_id: &details.resource_group_id,
            resource_group_name: &details.resource_group_name,
            traffic_package_size: Field::optional(
                details.traffic_package_size.map(Number),
                optional,
            ),
            system_disk: &details.system_disk,
            data_disks: &details.data_disks,
            key_id: Field::optional(details.key_id.as_deref(), optional),
            nic: &details.nic,
            tags: Tags { tags: TagList(&details.tags) },
        }
    }
}

/// Twice nested: `{"tags": {"tags": [{"key": …, "value": …}]}}`.
#[derive(Serialize)]
struct Tags<'w> {
    tags: TagList<'w>,
}

struct TagList<'w>(&'w BTreeMap<String, String>);

#[derive(Serialize)]
struct Tag<'w> {
    key: &'w str,
    value: &'w str,
}

impl Serialize for TagList<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|(key, value)| Tag { key, value }))
    }
}
