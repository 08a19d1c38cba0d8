//! Several operators for one set of objects: one leads and the others stand by, warm; each change of the
//! leader is quick, and none leads to a second order.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};
use zenlayer_vm_operator::api::{Phase, VmInstance};

use crate::{
    crowd::{SHORT, SIM_SHORT, postpaid},
    stage::{LIMIT, ONE_POSTPAID, Rules, Stage, message, shown, simulation, slow_simulation},
};
use harness::{
    Operator, eventually, table,
    wire::{Fault, Select, Verb},
};

/// A lease that runs out while a test waits.
const BRIEF: &[&str] =
    &["--lease-duration", "4s", "--renew-deadline", "3s", "--retry-period", "500ms"];
/// Lease and retry of those.
const TAKEOVER: Duration = Duration::from_millis(4500);
const LEADER: &str = "zenlayer_vm_leader";
const TWO_MACHINES: &str = "  - { id: vm-1, type: c.1c2g, chargeType: POSTPAID }
  - { id: vm-2, type: c.1c2g, chargeType: POSTPAID }
";

async fn until_leader(operator: &Operator, leads: f64, limit: Duration) {
    eventually(&format!("{LEADER} {leads}"), limit, async || {
        let now = operator.metric(LEADER).await;
        if now == leads { Ok(()) } else { Err(format!("{now}; {}", operator.process.tail())) }
    })
    .await;
}

/// A leader, and one that stands by.
async fn two(stage: &Stage, arguments: &[&str]) -> (Operator, Operator) {
    let first = stage.replica(arguments);
    first.ready().await;
    until_leader(&first, 1.0, LIMIT).await;
    (first, stand_by(stage, arguments).await)
}

async fn stand_by(stage: &Stage, arguments: &[&str]) -> Operator {
    let other = stage.replica(arguments);
    other.ready().await;
    let lease = Select::kubernetes().method("GET").path("*/leases/zvm-leader*");
    other.wire().answered(&lease, 1).await;
    assert_eq!(other.metric(LEADER).await, 0.0);
    other
}

/// Waits until this operator leads, and gives how long that took.
async fn takes_over(next: &Operator, since: Instant, limit: Duration) -> Duration {
    until_leader(next, 1.0, limit).await;
    since.elapsed()
}

/// Declares a machine of the stage under a name of its own.
async fn declare(stage: &Stage, name: &str, type_id: &str, labels: Value) -> VmInstance {
    let object = json!({
        "apiVersion": "vm.zenlayer.com/v1alpha1", "kind": "VmInstance",
        "metadata": { "name": name, "namespace": stage.namespace, "labels": labels },
        "spec": { "instanceId": name, "instanceTypeId": type_id },
    });
    let object: VmInstance = serde_json::from_value(object).unwrap();
    stage.objects().create(&Default::default(), &object).await.unwrap()
}

async fn edit(stage: &Stage, name: &str, type_id: &str) {
    stage.patch(name, json!({ "spec": { "instanceTypeId": type_id } })).await;
}

fn machines(names: &[String]) -> String {
    names.iter().map(|name| postpaid(name)).collect()
}

fn named(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("vm-{number}")).collect()
}

fn lists(operator: &Operator) -> usize {
    operator.wire().exchanges_of(&Select::verb(Verb::List, "vminstances")).len()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_stands_by_is_warm_and_silent_and_takes_over_soon_after_a_clean_stop_and_a_kill() {
    let names = named(12);
    let stage = Stage::given(&machines(&names)).await;
    // A clean stop is noticed soon with the times of production, too.
    let (mut first, mut second) = two(&stage, &[]).await;
    for name in &names {
        declare(&stage, name, "c.1c2g", json!({})).await;
    }
    for name in &names {
        stage.until_phase(&first, name, Phase::InSync).await;
    }
    let writes = Select::kubernetes().method("PUT");
    assert_eq!(second.wire().exchanges_of(&Select::cloud()).len(), 0);
    assert_eq!(second.wire().exchanges_of(&writes).len(), 0);
    assert_eq!(second.metric("zenlayer_vm_reconciles_total").await, 0.0);
    let listed = lists(&second);

    let stopped = Instant::now();
    first.process.signal(libc::SIGTERM);
    let clean = takes_over(&second, stopped, Duration::from_secs(3)).await;
    let ended = first.process.wait(LIMIT).unwrap();
    assert!(ended.success(), "{ended}; {}", first.process.tail());
    edit(&stage, &names[0], "c.2c4g").await;
    stage.until_phase(&second, &names[0], Phase::InSync).await;
    assert_eq!(lists(&second), listed, "a takeover lists nothing");
    eventually("a look at every object", LIMIT, async || {
        let passes = second.metric("zenlayer_vm_reconciles_total").await;
        if passes >= names.len() as f64 { Ok(()) } else { Err(passes.to_string()) }
    })
    .await;

    second.process.signal(libc::SIGTERM);
    assert!(second.process.wait(LIMIT).unwrap().success());
    // With REPLICAS_DEFAULTS the times of production: that takes half a minute more.
    let (times, limit) = match std::env::var_os("REPLICAS_DEFAULTS") {
        Some(_) => (&[][..], Duration::from_secs(40)),
        None => (BRIEF, TAKEOVER),
    };
    let (mut third, fourth) = two(&stage, times).await;
    let killed = Instant::now();
    third.process.kill();
    let kill = takes_over(&fourth, killed, limit).await;
    edit(&stage, &names[1], "c.2c4g").await;
    stage.until_phase(&fourth, &names[1], Phase::InSync).await;
    for name in &names[..2] {
        assert_eq!(stage.sim.orders(name).await.len(), 1, "{name}");
    }
    println!("takeover after a clean stop: {:.2} s (35 s / 30 s / 5 s)", clean.as_secs_f64());
    println!("takeover after a kill: {:.2} s, at most {limit:?}", kill.as_secs_f64());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lease_says_who_holds_it_since_when_for_what_and_how_often_that_has_changed() {
    let stage = Stage::given(ONE_POSTPAID).await;
    let (mut first, second) = two(&stage, &["--selector", "!tier"]).await;
    let lease = async || {
        let leases = stage.slots().list(&Default::default()).await.unwrap().items;
        let named = |name: &str| name.starts_with("zvm-leader-");
        leases.into_iter().find(|one| one.metadata.name.as_deref().is_some_and(named)).unwrap()
    };
    let before = lease().await;
    let spec = before.spec.unwrap();
    let holder = spec.holder_identity.unwrap();
    assert!(holder.starts_with("vm-operator_"), "{holder}");
    assert_eq!((spec.lease_duration_seconds, spec.lease_transitions), (Some(35), Some(0)));
    let annotations = before.metadata.annotations.unwrap();
    assert_eq!(annotations["vm.zenlayer.com/watch-namespaces"], stage.namespace);
    assert_eq!(annotations["vm.zenlayer.com/selector"], "!tier");
    first.process.signal(libc::SIGTERM);
    first.process.wait(LIMIT).unwrap();
    until_leader(&second, 1.0, LIMIT).await;
    let after = lease().await.spec.unwrap();
    assert_ne!(after.holder_identity.unwrap(), holder);
    assert_eq!(after.lease_transitions, Some(1));
    assert!(after.acquire_time.unwrap().0 > spec.acquire_time.unwrap().0);
}

/// Its passes wait for the answer to the intent; what would send the call then is its lease alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_cut_off_from_the_api_server_makes_no_paid_call_after_its_deadline() {
    let names = named(4);
    let world = simulation(&machines(&names));
    let stage = Stage::of_world(&world, &Rules::of_deploy(), SIM_SHORT).await;
    let patient = [SHORT, BRIEF, &["--testing-send-window", "1h"]].concat();
    let (first, second) = two(&stage, &patient).await;
    let intent = first.wire().hold(&format!("after-intent-modify.{}", names[0]));
    for (name, type_id) in names.iter().zip(["c.2c4g", "c.1c2g", "c.1c2g", "c.1c2g"]) {
        declare(&stage, name, type_id, json!({})).await;
    }
    intent.reached().await;
    for name in &names[1..] {
        stage.until_phase(&first, name, Phase::InSync).await;
    }
    let cut = Instant::now();
    let away = first.wire().fault(Select::kubernetes(), Fault::LoseRequest);
    for name in &names[1..] {
        edit(&stage, name, "c.2c4g").await;
    }
    until_leader(&first, 0.0, LIMIT).await;
    let lost = cut.elapsed();
    let took = takes_over(&second, cut, TAKEOVER + Duration::from_secs(1)).await;
    intent.release();
    eventually("the end of the call that was not made", LIMIT, async || {
        let log = first.process.log();
        if log.contains("answer=\"not sent\"") { Ok(()) } else { Err(first.process.tail()) }
    })
    .await;
    for name in &names {
        stage.until_phase(&second, name, Phase::InSync).await;
        assert_eq!(stage.sim.orders(name).await.len(), 1, "{name}");
    }
    let calls = first.wire().exchanges_of(&Select::named("call-modify")).len();
    assert_eq!(calls, 0, "{}", first.process.tail());
    // It is a candidate again, and no process has to be started for that.
    away.mend();
    let lease = Select::kubernetes().method("GET").path("*/leases/zvm-leader*");
    let before = first.wire().exchanges_of(&lease).len();
    first.wire().answered(&lease, before + 1).await;
    assert_eq!(first.metric(LEADER).await, 0.0);
    println!(
        "cut off from the API server: no longer leading after {:.2} s, the other one leads after {:.2} s, \
         {calls} paid calls",
        lost.as_secs_f64(),
        took.as_secs_f64()
    );
}

/// Where the leader is when it is frozen.
const POINTS: [&str; 4] =
    ["after-slot-modify", "after-intent-modify", "before-call-modify", "after-call-modify"];

/// The leader is frozen with a request in hand, for longer than its lease, and wakes.
async fn frozen(point: &str) -> [String; 4] {
    let stage = Stage::with(ONE_POSTPAID, &Rules::of_deploy(), SIM_SHORT).await;
    // With a window without an end, the term alone holds a call back; but a slot without an intent would be
    // waited for as long.
    let patient: &[&str] =
        if point.contains("slot") { &[] } else { &["--testing-send-window", "1h"] };
    let (first, second) = two(&stage, &[SHORT, BRIEF, patient].concat()).await;
    let hold = first.wire().hold(point);
    declare(&stage, "vm-1", "c.2c4g", json!({})).await;
    hold.reached().await;
    let passes = async || first.metric("zenlayer_vm_reconciles_total").await;
    let ended = passes().await;
    first.process.freeze().await;
    let since = Instant::now();
    let took = takes_over(&second, since, TAKEOVER).await;
    hold.release();
    first.process.thaw();
    until_leader(&first, 0.0, LIMIT).await;
    eventually("the end of what it had begun", LIMIT, async || {
        if passes().await > ended { Ok(()) } else { Err(first.process.tail()) }
    })
    .await;
    stage.until_phase(&second, "vm-1", Phase::InSync).await;
    second.further_passes(2.0).await;
    stage.until_phase(&second, "vm-1", Phase::InSync).await;
    let orders = stage.sim.orders("vm-1").await.len();
    assert_eq!(orders, 1, "{point}: {}", second.process.tail());
    let sent = first.wire().exchanges_of(&Select::named("call-modify")).len();
    assert_eq!(sent, usize::from(point.contains("call")), "{point}: {}", first.process.tail());
    let took = format!("{:.2} s", took.as_secs_f64());
    [point.to_owned(), took, sent.to_string(), orders.to_string()]
}

/// `REPLICAS_FREEZES` says how often each point is tried.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_frozen_beyond_its_lease_and_wakes_with_a_request_in_hand_orders_nothing_twice()
 {
    let _permit = harness::permit::heavy().await;
    let times = std::env::var("REPLICAS_FREEZES").ok().and_then(|text| text.parse().ok());
    let head = ["FROZEN AT", "TAKEOVER", "CALLS OF THE FROZEN ONE", "ORDERS"];
    let mut rows = vec![head.map(str::to_owned)];
    for _ in 0..times.unwrap_or(1) {
        rows.extend(join_all(POINTS.map(frozen)).await);
    }
    table::show("The leader is frozen beyond its lease, and wakes", &rows);
}

/// Which of these operators has made intents for a machine.
fn served_by(operators: &[&Operator], name: &str) -> Vec<usize> {
    let intents = |operator: &&Operator| {
        let select = Select::named("intent-modify").instance(name);
        !operator.wire().exchanges_of(&select).is_empty()
    };
    (0..operators.len()).filter(|place| intents(&operators[*place])).collect()
}

/// `REPLICAS_OBJECTS` says how many there are.
#[tokio::test(flavor = "multi_thread")]
async fn two_shards_serve_each_object_once_and_a_label_moves_one_without_a_second_order() {
    let _permit = harness::permit::heavy().await;
    let count = std::env::var("REPLICAS_OBJECTS").ok().and_then(|text| text.parse().ok());
    let names = named(count.unwrap_or(24));
    let stage =
        Stage::of_world(&slow_simulation("3s", &machines(&names)), &Rules::of_deploy(), &[]).await;
    let orders = ["--requests-per-second", "100", "--max-orders-per-hour", "3000"];
    let of = |shard: &'static str| stage.replica(&[&orders[..], &["--selector", shard]].concat());
    let shards = [&of("shard=1"), &of("shard in (2,3)")];
    for shard in shards {
        shard.ready().await;
        until_leader(shard, 1.0, LIMIT).await;
    }
    for (place, name) in names.iter().enumerate() {
        let shard = if place % 2 == 0 { "1" } else { "2" };
        declare(&stage, name, "c.2c4g", json!({ "shard": shard })).await;
    }
    for (place, name) in names.iter().enumerate() {
        stage.until_phase(shards[place % 2], name, Phase::InSync).await;
        assert_eq!(served_by(&shards, name), [place % 2], "{name}");
        assert_eq!(stage.sim.orders(name).await.len(), 1, "{name}");
    }
    // One moves while its change runs, another one while its call has no answer yet.
    let [running, calling] = [&names[0], &names[2]];
    let answer = shards[0].wire().hold(&format!("after-call-modify.{calling}"));
    for name in [running, calling] {
        edit(&stage, name, "c.4c8g").await;
    }
    stage.until_phase(shards[0], running, Phase::Changing).await;
    answer.reached().await;
    for name in [running, calling] {
        stage.patch(name, json!({ "metadata": { "labels": { "shard": "3" } } })).await;
    }
    shards[1].further_passes(2.0).await;
    answer.release();
    for name in [running, calling] {
        let object = stage.until_phase(shards[1], name, Phase::InSync).await;
        let orders = stage.sim.orders(name).await;
        assert_eq!(orders.len(), 2, "{name}: {orders:?}");
        let number = orders[1]["orderNumber"].as_str();
        assert_eq!(object.status.unwrap().order_number.as_deref(), number, "{name}");
        assert_eq!(served_by(&shards, name), [0], "{name}");
        // From now on it is the other one's.
        edit(&stage, name, "c.2c4g").await;
        stage.until_phase(shards[1], name, Phase::InSync).await;
        assert_eq!(stage.sim.orders(name).await.len(), 3, "{name}");
        assert_eq!(served_by(&shards, name), [0, 1], "{name}");
    }
    for shard in shards {
        assert_eq!(shard.metric("zenlayer_vm_overlapping_operators").await, 0.0);
    }
    let told = stage.events().await;
    assert!(!told.iter().any(|(reason, _)| reason == "ChangeLeftRunning"), "{told:?}");
    println!(
        "two shards: {} objects, each served by one; two moved without a second order",
        names.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_whose_selections_overlap_say_so_and_order_nothing_for_what_both_select() {
    let names = named(2);
    let stage = Stage::given(&machines(&names)).await;
    let all = stage.replica(BRIEF);
    all.ready().await;
    until_leader(&all, 1.0, LIMIT).await;
    let mut some = stage.replica(&[BRIEF, &["--selector", "shard=1"]].concat());
    some.ready().await;
    for operator in [&all, &some] {
        eventually("the other operator", LIMIT, async || {
            let count = operator.metric("zenlayer_vm_overlapping_operators").await;
            if count == 1.0 { Ok(()) } else { Err(operator.process.tail()) }
        })
        .await;
        assert!(operator.process.log().contains("another operator may serve the same objects"));
    }
    declare(&stage, &names[0], "c.2c4g", json!({ "shard": "1" })).await;
    declare(&stage, &names[1], "c.2c4g", json!({})).await;
    stage.until_phase(&all, &names[1], Phase::InSync).await;
    let held = |object: &VmInstance| shown(object, "Ready") == "False ServedTwice";
    let object = stage.until(&all, &names[0], "is held back", held).await;
    let text = message(&object);
    assert!(text.contains("the log of each says what it serves"), "{text}");
    all.further_passes(2.0).await;
    some.further_passes(2.0).await;
    // Both say the same, so neither writes over the other.
    assert_eq!(message(&stage.get(&names[0]).await), text);
    assert!(stage.sim.orders(&names[0]).await.is_empty());
    // Killed, it counts until its lease has run out.
    some.process.kill();
    stage.until_phase(&all, &names[0], Phase::InSync).await;
    assert_eq!(stage.sim.orders(&names[0]).await.len(), 1);
    assert_eq!(all.metric("zenlayer_vm_overlapping_operators").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_serves_the_namespaces_that_it_names_and_no_other() {
    let [one, two, three] = [
        Stage::given(TWO_MACHINES).await,
        Stage::given(ONE_POSTPAID).await,
        Stage::given(ONE_POSTPAID).await,
    ];
    let both = format!("{},{}", two.namespace, one.namespace);
    let operator = Operator::start(&harness::operator::OperatorOptions {
        kubeconfig: one.kubeconfig(),
        endpoint: &one.sim.endpoint(),
        slot_namespace: &one.slot_namespace,
        watch_namespace: Some(&both),
        arguments: ["--testing-poll", "1s", "--order-delay", "0s"].map(str::to_owned).into(),
        wired: false,
    });
    operator.ready().await;
    // Each a machine of its own: of two objects that name the same one, the younger waits.
    for (stage, machine) in [(&three, "vm-1"), (&one, "vm-1"), (&two, "vm-2")] {
        let spec = json!({ "instanceId": machine, "instanceTypeId": "c.1c2g" });
        stage.create("vm-1", spec).await;
    }
    for stage in [&one, &two] {
        stage.until_phase(&operator, "vm-1", Phase::InSync).await;
    }
    let status = three.get("vm-1").await.status.unwrap_or_default();
    assert_eq!(status.observed_generation, Some(-1), "{status:?}");
}
