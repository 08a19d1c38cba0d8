//! Money: from the digits of the JSON text, never through binary floating point. `RawValue` keeps
//! those digits for this one decoder; serde_json's `arbitrary_precision` would change how every
//! crate of the graph sees numbers.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::value::RawValue;

use super::{DecodeError, Success, owned};
use crate::Price;

type RawObject<'a> = BTreeMap<String, &'a RawValue>;

impl Success<'_> {
    /// The price of the instance in the answer of `InquiryPriceCreateInstance`. An amount that a
    /// [`Decimal`] cannot hold exactly reads as absent.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] where there is no object `instancePrice`.
    pub fn price(&self) -> Result<Price, DecodeError> {
        let field = "instancePrice";
        let missing = || DecodeError::NoObject(field.to_owned());
        let object = self.response.get(field).and_then(|value| value.as_object());
        let charge_unit = owned(object.ok_or_else(missing)?, "chargeUnit");
        let outer: RawObject<'_> =
            serde_json::from_slice(self.body).map_err(|_| DecodeError::NotJson)?;
        let price = inner(&outer, "response").and_then(|response| inner(&response, field));
        let price = price.ok_or_else(missing)?;
        let amount = |name: &str| price.get(name).and_then(|raw| decimal(raw.get()));
        Ok(Price {
            original: amount("originalPrice"),
            discounted: amount("discountPrice"),
            unit: amount("unitPrice"),
            discounted_unit: amount("discountUnitPrice"),
            charge_unit,
        })
    }
}

fn inner<'a>(object: &RawObject<'a>, field: &str) -> Option<RawObject<'a>> {
    serde_json::from_str(object.get(field)?.get()).ok()
}

/// A JSON number as it is written. One that does not fit exactly is no amount that anybody should
/// compare: it reads as absent, like a string or null.
fn decimal(text: &str) -> Option<Decimal> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        return None;
    }
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let amount = Decimal::from_str_exact(digits).ok()?;
    // The scale moves by the exponent; 28 digits is all that a decimal holds.
    let scale = i64::from(amount.scale()) - i64::from(exponent);
    match u32::try_from(scale) {
        Ok(scale) if scale <= 28 => {
            Decimal::try_from_i128_with_scale(amount.mantissa(), scale).ok()
        }
        Ok(_) => None,
        Err(_) if scale >= -28 => {
            let power = u32::try_from(-scale).ok().and_then(|power| 10_i128.checked_pow(power))?;
            let mantissa = amount.mantissa().checked_mul(power)?;
            Decimal::try_from_i128_with_scale(mantissa, 0).ok()
        }
        Err(_) => None,
    }
}
