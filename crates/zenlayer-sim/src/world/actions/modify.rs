//! ModifyInstanceType.

use rust_decimal::Decimal;
use serde::Serialize;

use crate::world::{
    BandwidthAboveLimit, Call, ChargeType, CheckOrder, Effect, EqualPrice, Instance, OrderKind,
    OrderNumberShown, Payment, Plan, Reason, Refused, SameTargetInFlight, State, Work, World,
    answer::{Field, refusal},
    billing::{NewOrder, rest_of_cycle},
    catalogue::Offered,
    parameters::Parameters,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ordered {
    #[serde(skip_serializing_if = "Field::is_absent")]
    order_number: Field<String>,
}

/// One check of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    Recycled,
    State,
    Zone,
    Model,
    SameModel,
    Series,
    Running,
    Scheduled,
    Bandwidth,
    EqualPrice,
    Stock,
    Balance,
}

/// The order of the checks: no document gives one. The likeliest, and others that are as good.
fn order(order: CheckOrder) -> [Check; 12] {
    use Check::{
        Balance, Bandwidth, EqualPrice, Model, Recycled, Running, SameModel, Scheduled, Series,
        State, Stock, Zone,
    };
    let tail = [Bandwidth, EqualPrice, Stock, Balance];
    let head = match order {
        CheckOrder::Documented => {
            [Recycled, State, Zone, Model, SameModel, Series, Running, Scheduled]
        }
        CheckOrder::StateFirst => {
            [State, Recycled, Zone, Model, SameModel, Series, Running, Scheduled]
        }
        CheckOrder::PlanFirst => {
            [Running, Scheduled, Recycled, State, Zone, Model, SameModel, Series]
        }
        CheckOrder::ModelFirst => {
            [Model, SameModel, Series, Recycled, State, Zone, Running, Scheduled]
        }
    };
    let [a, b, c, d, e, f, g, h] = head;
    let [i, j, k, l] = tail;
    [a, b, c, d, e, f, g, h, i, j, k, l]
}

/// A change that somebody asks for.
struct Wanted<'w> {
    world: &'w World,
    instance: &'w Instance,
    to: &'w str,
}

/// What a change costs, and when it takes effect.
pub(in crate::world) struct Bill {
    pub kind: OrderKind,
    pub amount: Decimal,
}

impl World {
    pub(in crate::world) fn modify_instance_type(
        &mut self,
        call: &Call<'_>,
        parameters: &Parameters<'_>,
    ) -> Result<Ordered, Refused> {
        let id = parameters.required("instanceId")?;
        let to = parameters.required("instanceTypeId")?;
        let wanted = Wanted { world: self, instance: self.find(id)?, to };
        for check in order(self.rules.behaviour.check_order) {
            wanted.check(check)?;
        }
        let number = self.place_order(id, to, call);
        let order_number = match self.rules.behaviour.order_number {
            OrderNumberShown::Shown => Field::Is(number),
            OrderNumberShown::Empty => Field::Is(String::new()),
            OrderNumberShown::Null => Field::Null,
            OrderNumberShown::Absent => Field::Absent,
        };
        Ok(Ordered { order_number })
    }

    /// Orders a change that has passed its checks, takes the money and the machine, and lets it
    /// begin.
    pub(in crate::world) fn place_order(&mut self, id: &str, to: &str, call: &Call<'_>) -> String {
        let now = self.now;
        let payment = self.rules.behaviour.payment;
        let Some(instance) = self.instances.get(id) else { return String::new() };
        let Bill { kind, amount } = self.bill(instance, to);
        let number = self.books.order(NewOrder {
            instance_id: id,
            from: &instance.type_id,
            to,
            kind,
            amount,
            at: now,
            request_id: call.request_id,
        });
        self.visit(id, now, |site| {
            site.books.take(&site.instance.zone, to);
            match payment {
                Payment::AtOnce => {
                    site.books.charge(now, id, amount, Reason::Order(number.clone()));
                }
                Payment::NextCycle => site.instance.owed += amount,
                Payment::InConsole => {}
            }
        });
        let fails = call.effect == Effect::FailsSilently;
        self.put_to_work(call, id, Work::Change { order_number: number.clone(), fails });
        number
    }

    /// Direction by list price (page "ModifyInstanceType" and the help of `zeno`, in Chinese); a
    /// PREPAID upgrade costs the difference for the rest of the cycle, and there is no refund (the
    /// console guide).
    pub(in crate::world) fn bill(&self, instance: &Instance, to: &str) -> Bill {
        let difference = self.difference(instance, to);
        let equal = self.rules.behaviour.equal_price;
        let downgrade =
            difference < Decimal::ZERO || difference.is_zero() && equal == EqualPrice::Downgrade;
        let expiry = match (instance.charge_type, instance.next_expiry()) {
            (ChargeType::Prepaid, Some(expiry)) => expiry,
            // POSTPAID either way at once (its page says so); so is what has no cycle to wait for.
            (ChargeType::Postpaid, _) | (ChargeType::Prepaid, None) => {
                return Bill { kind: OrderKind::Immediate, amount: Decimal::ZERO };
            }
        };
        if downgrade {
            return Bill { kind: OrderKind::NextCycle, amount: Decimal::ZERO };
        }
        let discount = self.offer(instance, to).map_or(Decimal::ZERO, |one| one.paid(difference));
        let amount = rest_of_cycle(discount, expiry.duration_since(self.now));
        Bill { kind: OrderKind::Immediate, amount }
    }

    /// List price of a month: the new type's less the old type's.
    fn difference(&self, instance: &Instance, to: &str) -> Decimal {
        let price = |id: &str| self.offer(instance, id).map_or(Decimal::ZERO, |one| one.monthly);
        price(to) - price(&instance.type_id)
    }

    fn offer(&self, instance: &Instance, type_id: &str) -> Option<Offered<'_>> {
        self.rules.catalogue.offered(&instance.zone, instance.charge_type, type_id)
    }
}

impl Wanted<'_> {
    fn check(&self, check: Check) -> Result<(), Refused> {
        let refused = match check {
            Check::Recycled => self.recycled(),
            Check::State => self.state(),
            Check::Zone => self.zone(),
            Check::Model => self.model(),
            Check::SameModel => self.same_model(),
            Check::Series => self.series(),
            Check::Running => self.running(),
            Check::Scheduled => self.scheduled(),
            Check::Bandwidth => self.bandwidth(),
            Check::EqualPrice => self.equal_price(),
            Check::Stock => self.stock(),
            Check::Balance => self.balance(),
        };
        refused.map_or(Ok(()), Err)
    }

    // The codes and statuses of the next eight: page "ModifyInstanceType".

    fn recycled(&self) -> Option<Refused> {
        let message = format!("instance {} is in the recycle bin", self.instance.id);
        let recycled = matches!(self.instance.state, State::Recycle | State::Recycling);
        recycled.then(|| refusal(400, "UNSUPPORTED_OPERATION_INSTANCE_BEING_RECYCLE", message))
    }

    fn state(&self) -> Option<Refused> {
        let Instance { id, state, .. } = self.instance;
        let message = format!("instance {id} is {}, not RUNNING or STOPPED", state.name());
        let allowed = matches!(state, State::Running | State::Stopped);
        (!allowed).then(|| refusal(400, "UNSUPPORTED_OPERATION_INSTANCE_STATUS", message))
    }

    fn zone(&self) -> Option<Refused> {
        let zone = &self.instance.zone;
        let resize = self.world.rules.catalogue.zones.get(zone).is_none_or(|zone| zone.resize);
        let message = format!("zone {zone} does not offer changes of type");
        (!resize).then(|| refusal(400, "UNSUPPORTED_OPERATION_ZONE_NOT_SUPPORT", message))
    }

    fn model(&self) -> Option<Refused> {
        let message = format!("model {} does not exist for this instance", self.to);
        let known = self.world.offer(self.instance, self.to).is_some();
        (!known).then(|| refusal(404, "INVALID_PRODUCT_NOT_FOUND", message))
    }

    fn not_changed(&self) -> Refused {
        let message = format!("instance {} is of model {} already", self.instance.id, self.to);
        Refused::by(&self.world.rules.behaviour.codes.not_changed, message)
    }

    fn same_model(&self) -> Option<Refused> {
        (self.instance.type_id == self.to).then(|| self.not_changed())
    }

    fn series(&self) -> Option<Refused> {
        let Instance { id, type_id, .. } = self.instance;
        let rules = &self.world.rules;
        let allowed = rules.catalogue.allows(type_id, self.to, &rules.behaviour.cross_series);
        let message = format!("instance {id} of model {type_id} cannot take model {}", self.to);
        (!allowed).then(|| refusal(400, "OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED", message))
    }

    fn running(&self) -> Option<Refused> {
        let Plan::Processing { to, .. } = &self.instance.plan else { return None };
        let message = format!("a change of instance {} to {to} is running", self.instance.id);
        self.in_flight(to, "OPERATION_DENIED_INSTANCE_PLAN_PROCESSING", message)
    }

    fn scheduled(&self) -> Option<Refused> {
        let (Plan::WaitToEnable { to, .. } | Plan::Unpaid { to, .. }) = &self.instance.plan else {
            return None;
        };
        let message = format!("a change of instance {} to {to} is scheduled", self.instance.id);
        self.in_flight(to, "OPERATION_DENIED_INSTANCE_EXIST_PLAN", message)
    }

    fn in_flight(&self, to: &str, code: &str, message: String) -> Option<Refused> {
        match self.world.rules.behaviour.same_target_in_flight {
            SameTargetInFlight::NotChanged if to == self.to => Some(self.not_changed()),
            SameTargetInFlight::OrderedAgain if to == self.to => None,
            SameTargetInFlight::Refused
            | SameTargetInFlight::NotChanged
            | SameTargetInFlight::OrderedAgain => Some(refusal(403, code, message)),
        }
    }

    /// Not documented.
    fn bandwidth(&self) -> Option<Refused> {
        let behaviour = &self.world.rules.behaviour;
        let limit = self.world.offer(self.instance, self.to)?.bandwidth_limit;
        let above = limit >= 0 && self.instance.bandwidth > limit;
        let refuses = behaviour.bandwidth_above_limit == BandwidthAboveLimit::Refused;
        let message = format!("{} Mbps is above the limit of {limit}", self.instance.bandwidth);
        (above && refuses).then(|| Refused::by(&behaviour.codes.bandwidth, message))
    }

    /// Not documented.
    fn equal_price(&self) -> Option<Refused> {
        let behaviour = &self.world.rules.behaviour;
        let refuses = behaviour.equal_price == EqualPrice::Refused
            && self.instance.charge_type == ChargeType::Prepaid
            && self.world.difference(self.instance, self.to).is_zero();
        let message = format!("model {} has the price of the current one", self.to);
        refuses.then(|| Refused::by(&behaviour.codes.equal_price, message))
    }

    /// Known from sibling products.
    fn stock(&self) -> Option<Refused> {
        let left = self.world.books.left(&self.instance.zone, self.to);
        let message = format!("model {} is sold out", self.to);
        let code = &self.world.rules.behaviour.codes.out_of_stock;
        (left == Some(0)).then(|| Refused::by(code, message))
    }

    /// Sibling pages say that the call fails; no code is published.
    fn balance(&self) -> Option<Refused> {
        let behaviour = &self.world.rules.behaviour;
        let Bill { amount, .. } = self.world.bill(self.instance, self.to);
        let books = &self.world.books;
        let refuses = behaviour.payment == Payment::AtOnce && !books.covers(amount);
        let message = format!("the change costs {amount}, the balance is {}", books.balance);
        refuses.then(|| Refused::by(&behaviour.codes.low_balance, message))
    }
}
