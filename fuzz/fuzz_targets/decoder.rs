//! All decoders of the client on any bytes: no panic, and no entry for an id that was not asked.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use zenlayer::{
    CatalogueQuery, ChargeType, InstanceId, InstanceIds,
    decode::{Failure, Success},
};

static ASKED: LazyLock<(InstanceId, InstanceIds, CatalogueQuery)> = LazyLock::new(|| {
    let id = |text: &str| InstanceId::new(text).expect("a valid id");
    let ids = InstanceIds::batches([id("vm-1"), id("vm-2")]).remove(0);
    let query = CatalogueQuery { zone_id: "FRA-A".into(), charge_type: ChargeType::Prepaid };
    (id("vm-1"), ids, query)
});

fuzz_target!(|bytes: &[u8]| {
    let (id, ids, query) = &*ASKED;
    let _ = Failure::parse(bytes);
    let Ok(success) = Success::parse(bytes) else { return };
    let _ = success.order_number();
    if let Ok(batch) = success.instances(ids) {
        assert!(batch.keys().eq(ids.iter()));
    }
    if let Ok(batch) = success.states(ids) {
        assert!(batch.keys().eq(ids.iter()));
    }
    let _ = success.type_status(id);
    if let Ok(offers) = success.catalogue(query) {
        assert!(offers.iter().all(|offer| offer.zone_id == query.zone_id));
    }
    let _ = success.zones();
    let _ = success.price();
});
