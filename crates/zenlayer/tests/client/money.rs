//! Prices are the digits of the answer.

use rust_decimal::Decimal;
use zenlayer::decode::Success;

use crate::raw::envelope;

fn original(written: &str) -> Option<Decimal> {
    let body = envelope(&format!(r#""instancePrice":{{"originalPrice":{written}}}"#));
    Success::parse(body.as_bytes()).unwrap().price().unwrap().original
}

#[test]
fn an_amount_is_read_digit_by_digit() {
    // written, read
    let table = [
        ("14", Some("14")),
        ("13.3", Some("13.3")),
        ("0.1", Some("0.1")),
        ("0.13", Some("0.13")),
        ("14.00", Some("14.00")),
        ("-1.5", Some("-1.5")),
        ("0", Some("0")),
        // Neither would survive binary floating point.
        ("9007199254740993.01", Some("9007199254740993.01")),
        ("0.1234567890123456789", Some("0.1234567890123456789")),
        ("1.5e3", Some("1500")),
        ("1E+2", Some("100")),
        ("125e-2", Some("1.25")),
        ("0.5e1", Some("5")),
        // What does not fit exactly is no amount.
        ("1e300", None),
        ("1e-400", None),
        ("1e-99999999999999999999", None),
        ("123456789012345678901234567890123", None),
        ("0.12345678901234567890123456789012345", None),
        ("null", None),
        (r#""14""#, None),
        ("true", None),
        ("{}", None),
        ("[1]", None),
    ];
    for (written, read) in table {
        let expected = read.map(|text| Decimal::from_str_exact(text).unwrap());
        assert_eq!(original(written), expected, "{written}");
        if let (Some(got), Some(text)) = (original(written), read) {
            assert_eq!(got.to_string(), text, "{written}");
        }
    }
}

/// serde_json refuses the whole text for a number beyond binary floating point. Nobody charges that.
#[test]
fn a_number_beyond_all_bounds_is_an_error_and_no_panic() {
    for written in ["1e400", "-1e99999999999999999999"] {
        let body = envelope(&format!(r#""instancePrice":{{"originalPrice":{written}}}"#));
        let error = Success::parse(body.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "the body is not JSON", "{written}");
    }
}

#[test]
fn prepaid_and_postpaid_fill_different_fields() {
    let prepaid = envelope(
        r#""instancePrice":{"discount":95,"originalPrice":14,"discountPrice":13.3},"eipPrice":null"#,
    );
    let price = Success::parse(prepaid.as_bytes()).unwrap().price().unwrap();
    assert_eq!(price.original.unwrap().to_string(), "14");
    assert_eq!(price.discounted.unwrap().to_string(), "13.3");
    assert_eq!((price.unit, price.discounted_unit, price.charge_unit), (None, None, None));
    let postpaid = envelope(
        r#""instancePrice":{"originalPrice":null,"unitPrice":0.13,"discountUnitPrice":0.1235,
           "chargeUnit":"HOUR","stepPrices":null}"#,
    );
    let price = Success::parse(postpaid.as_bytes()).unwrap().price().unwrap();
    assert_eq!((price.original, price.discounted), (None, None));
    assert_eq!(price.unit.unwrap().to_string(), "0.13");
    assert_eq!(price.discounted_unit.unwrap().to_string(), "0.1235");
    assert_eq!(price.charge_unit.as_deref(), Some("HOUR"));
}

#[test]
fn no_price_at_all_is_an_error() {
    for members in ["", r#""instancePrice":null"#, r#""instancePrice":[]"#, r#""instancePrice":1"#]
    {
        let body = envelope(members);
        let error = Success::parse(body.as_bytes()).unwrap().price().unwrap_err();
        assert_eq!(error.to_string(), "instancePrice is missing or not an object", "{members}");
    }
}

/// A key that comes twice: both readings of the text take the last one.
#[test]
fn a_repeated_key_is_the_same_for_text_and_money() {
    let body = r#"{"response":{"instancePrice":{"originalPrice":1}},
                   "response":{"instancePrice":{"originalPrice":2,"originalPrice":3,"chargeUnit":"DAY"}}}"#;
    let price = Success::parse(body.as_bytes()).unwrap().price().unwrap();
    assert_eq!(price.original.unwrap().to_string(), "3");
    assert_eq!(price.charge_unit.as_deref(), Some("DAY"));
}
