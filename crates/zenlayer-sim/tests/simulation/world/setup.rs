//! What a world starts from.

use zenlayer_sim::{
    config::Config,
    world::{ACTIONS, InstanceSetup, World},
};

use super::given::{BASE, DAY, given_behaviour};

/// A setup with this part: what is wrong with it.
fn problem(yaml: &str) -> String {
    let config: Config = match serde_saphyr::from_str(&format!("credentials: []\n{yaml}")) {
        Ok(config) => config,
        Err(error) => return error.to_string(),
    };
    config
        .setup()
        .check()
        .map_or_else(|(field, problem)| format!("{field} {problem}"), |()| "fine".into())
}

#[test]
fn what_is_wrong_is_named_by_its_field() {
    let one = |fields: &str| {
        format!("instances: [{{ id: vm, type: c.1c2g, chargeType: PREPAID{fields} }}]")
    };
    let rows = [
        (one(""), "fine"),
        (one(", expiresIn: 20d"), "fine"),
        (one(", expiresIn: soon"), "instances[0].expiresIn \"soon\""),
        (one(", expiresIn: 20d, expiresAt: 2030-01-01T00:00:00Z"), "is given together with expiresAt"),
        (one(", zone: X-1"), "instances[0].zone \"X-1\" is not one of FRA-A, HKG-A"),
        (one(", state: RESIZING"), "RESIZING"),
        (one(", period: 0"), "instances[0].period must be from 1 to 120"),
        (one(", cores: 4"), "cores"),
        ("instances: [{ id: vm, type: c.3c3g, chargeType: PREPAID }]".into(), "instances[0].type \"c.3c3g\" is not one of c.12c24g"),
        ("instances: [{ id: '', type: c.1c2g, chargeType: PREPAID }]".into(), "instances[0].id must not be empty"),
        ("instances: [{ id: a, type: c.1c2g, chargeType: PREPAID }, { id: a, type: c.1c2g, chargeType: PREPAID }]".into(), "instances[1].id \"a\" is used twice"),
        ("instances: []\nprocessingTime: -1s".into(), "processingTime must not be negative"),
        ("instances: []\ndurations: { boot: -1s }".into(), "durations.boot must not be negative"),
        ("instances: []\nbehaviour: { readLag: { DescribeAll: 1s } }".into(), "behaviour.readLag \"DescribeAll\" is not one of"),
        ("instances: []\nbehaviour: { readLag: { ModifyInstanceType: 1s } }".into(), "behaviour.readLag \"ModifyInstanceType\" is not one of"),
        ("instances: []\nbehaviour: { registrationLag: { DescribeZones: 1s } }".into(), "behaviour.registrationLag \"DescribeZones\" is not one of"),
        ("instances: []\nbehaviour: { readLag: { DescribeInstances: -1s } }".into(), "behaviour.readLag.DescribeInstances must not be negative"),
        ("instances: []\nbehaviour: { enableAtEnd: -1s }".into(), "behaviour.enableAtEnd must not be negative"),
        ("instances: []\nbehaviour: { guests: live }".into(), "guests"),
        ("instances: []\nzones: [{ id: X-1, discount: -5 }]".into(), "zones[0].discount is the percentage"),
        ("instances: []\nzones: [{ id: X-1, stock: { c.3c3g: 1 } }]".into(), "zones[0].stock \"c.3c3g\" is not one of"),
        ("instances: []\nzones: [{ id: X-1, offers: [{ type: c.3c3g }] }]".into(), "zones[0].offers \"c.3c3g\" is not one of"),
        ("instances: []\nmodels: [{ id: x, series: x, cpuCount: 1, memory: 1, bandwidthLimit: -1, monthlyPrice: -1, hourlyPrice: 1 }]".into(), "models[0].monthlyPrice must not be negative"),
    ];
    let money = [
        ("instances: []\nbalance: 1000000000.01", "balance 1000000000.01 is beyond 1000000000"),
        ("instances: []\nbalance: 0.00001", "balance 0.00001 has more than 4 digits"),
        ("instances: []\nbalance: -5.25", "fine"),
        (
            "instances: []\nzones: [{ id: X-1, offers: [{ type: c.1c2g, hourlyPrice: -1 }] }]",
            "zones[0].offers must not be negative",
        ),
        (
            "instances: []\nzones: [{ id: X-1, discount: 101 }]",
            "zones[0].discount is the percentage",
        ),
    ];
    let rows = rows.into_iter().chain(money.map(|(yaml, expected)| (yaml.to_owned(), expected)));
    for (yaml, expected) in rows {
        let problem = problem(&yaml);
        assert!(problem.contains(expected), "{yaml}\n{problem}");
    }
}

#[test]
fn an_own_zone_or_model_stands_in_for_a_built_in_one() {
    let more = "zones: [{ id: FRA-A, resize: false }]\nmodels: [{ id: c.1c2g, series: own, cpuCount: 1, \
                memory: 3, bandwidthLimit: -1, monthlyPrice: 1.5, hourlyPrice: '0.01' }]";
    let config: Config =
        serde_saphyr::from_str(&format!("credentials: []\ninstances: []\n{more}")).unwrap();
    let world = World::new(&config.setup(), jiff::Timestamp::UNIX_EPOCH);
    let catalogue = &world.rules().catalogue;
    assert!(!catalogue.zones["FRA-A"].resize && catalogue.zones["HKG-A"].resize);
    let model = catalogue.model("c.1c2g").unwrap();
    assert_eq!((model.memory, model.monthly_price.to_string().as_str()), (3, "1.5"));
    assert_eq!(model.hourly_price.to_string(), "0.01");
}

#[test]
fn a_world_survives_its_text_in_the_middle_of_everything() {
    let mut cloud = given_behaviour(
        "readLag: { DescribeInstances: 20s }, registrationLag: { ModifyInstanceType: 5s }, guest: stopsAndStarts",
    );
    cloud.order("post", "c.4c8g");
    cloud.order("pre", "c.2c4g");
    cloud.step(16);
    cloud.order("off", "g.4c16g");
    let text = serde_json::to_string(&cloud.world).unwrap();
    let mut again: World = serde_json::from_str(&text).unwrap();
    assert_eq!(again, cloud.world);
    assert_eq!(serde_json::to_string(&again).unwrap(), text);
    cloud.step(20 * DAY);
    again.advance(cloud.now);
    assert_eq!(again, cloud.world, "it goes on alike");
}

#[test]
fn the_example_is_a_setup_with_every_kind_of_instance() {
    let path = harness::root().join("deploy/examples/simulator.yaml");
    let config = Config::load(&path).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.instances.iter().filter(|one| one.id.starts_with("demo-")).count(), 3);
}

#[test]
fn the_schema_of_an_instance_and_the_list_of_actions_are_complete() {
    let schema = schemars::schema_for!(InstanceSetup).to_value();
    for field in ["id", "type", "chargeType", "details", "settles", "expiresIn"] {
        assert!(!schema["properties"][field].is_null(), "{field}");
    }
    assert_eq!(ACTIONS.len(), 11);
    assert!(BASE.contains("processingTime"));
}
