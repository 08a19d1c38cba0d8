//! What faults make of an answer.

use hyper::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::FaultKind;

/// An answer before it is written out.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    pub status: u16,
    pub content_type: String,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: String,
}

impl Draft {
    pub fn json(status: u16, body: String) -> Self {
        let content_type = "application/json; charset=utf-8".to_owned();
        Self { status, content_type, headers: Vec::new(), body }
    }

    /// Applies a fault of the step Answer.
    pub fn alter(&mut self, fault: &FaultKind) {
        match fault {
            FaultKind::Page { page } => {
                self.status = page.status();
                self.content_type = "text/html; charset=UTF-8".to_owned();
                self.body = page.html();
                if *page == super::Page::Challenge {
                    let name = HeaderName::from_static("cf-mitigated");
                    self.headers.push((name, HeaderValue::from_static("challenge")));
                }
            }
            FaultKind::Body { status, body, content_type } => {
                self.status = *status;
                self.body.clone_from(body);
                if let Some(content_type) = content_type {
                    self.content_type.clone_from(content_type);
                }
            }
            FaultKind::ContentType { value } => self.content_type.clone_from(value),
            FaultKind::NullResponse {} => self.change(|body| body["response"] = Value::Null),
            FaultKind::MissingResponse {} => self.change(|body| {
                body.as_object_mut().map(|body| body.remove("response"));
            }),
            FaultKind::SuccessWithCode { code } => self.success_with_code(code),
            FaultKind::SetField { path, value } => self.change(|body| {
                visit(body, path, &mut |parent, name| set(parent, name, value));
            }),
            FaultKind::RemoveField { path } => {
                self.change(|body| visit(body, path, &mut remove));
            }
            FaultKind::ExtraFields {} => self.change(add_fields),
            FaultKind::LateRequest { .. }
            | FaultKind::ClockSkew { .. }
            | FaultKind::Error { .. }
            | FaultKind::RegistrationLag { .. }
            | FaultKind::FailsSilently {}
            | FaultKind::TruncatedBody { .. }
            | FaultKind::OverlongBody { .. }
            | FaultKind::SlowBody { .. }
            | FaultKind::DelayAnswer { .. }
            | FaultKind::DropBefore {}
            | FaultKind::DropAfter {}
            | FaultKind::RefuseConnections { .. }
            | FaultKind::DateSkew { .. }
            | FaultKind::DateMissing {} => {}
        }
    }

    /// Changes an answer of success; a refusal has no `response`.
    fn change(&mut self, change: impl FnOnce(&mut Value)) {
        if let Ok(mut body) = serde_json::from_str::<Value>(&self.body)
            && body.get("response").is_some()
        {
            change(&mut body);
            self.body = body.to_string();
        }
    }

    fn success_with_code(&mut self, code: &str) {
        self.change(|body| {
            *body = json!({
                "requestId": body["requestId"],
                "code": code,
                "message": "as a fault asks for",
            });
        });
    }
}

/// Visits each parent of a dotted path below `response`; `*` stands for each item.
fn visit(body: &mut Value, path: &str, found: &mut dyn FnMut(&mut Value, &str)) {
    let names: Vec<&str> = path.split('.').collect();
    descend(&mut body["response"], &names, found);
}

fn descend(value: &mut Value, names: &[&str], found: &mut dyn FnMut(&mut Value, &str)) {
    match names {
        [] => {}
        ["*", rest @ ..] if !rest.is_empty() => match value {
            Value::Array(items) => items.iter_mut().for_each(|item| descend(item, rest, found)),
            Value::Object(fields) => {
                fields.values_mut().for_each(|field| descend(field, rest, found));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        },
        [name] => found(value, name),
        [name, rest @ ..] => {
            let next = match value {
                Value::Array(items) => {
                    name.parse::<usize>().ok().and_then(|index| items.get_mut(index))
                }
                Value::Object(fields) => fields.get_mut(*name),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
            };
            if let Some(next) = next {
                descend(next, rest, found);
            }
        }
    }
}

fn set(parent: &mut Value, name: &str, value: &Value) {
    match parent {
        Value::Object(fields) => {
            fields.insert(name.to_owned(), value.clone());
        }
        Value::Array(items) => {
            let every = name == "*";
            let index = name.parse::<usize>().ok();
            for (at, item) in items.iter_mut().enumerate() {
                if every || Some(at) == index {
                    *item = value.clone();
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn remove(parent: &mut Value, name: &str) {
    if let Value::Object(fields) = parent {
        fields.remove(name);
    }
}

fn add_fields(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(add_fields),
        Value::Object(fields) => {
            fields.values_mut().for_each(add_fields);
            fields.insert("fieldOfTheFuture".to_owned(), json!({ "nested": [1, null, "x"] }));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
