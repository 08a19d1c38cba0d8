//! Who last set a field: by the field managers that the API server keeps.

use crate::api::VmInstance;

/// The manager that last wrote the field at `path`, such as `kubectl-edit`. `None` where the object
/// carries no managed fields.
pub fn of(object: &VmInstance, path: &[&str]) -> Option<String> {
    let entries = object.metadata.managed_fields.as_deref()?;
    let owns = |fields: &serde_json::Value| {
        let mut at = fields;
        for part in path {
            match at.get(format!("f:{part}")) {
                Some(next) => at = next,
                None => return false,
            }
        }
        true
    };
    entries
        .iter()
        .filter(|entry| entry.subresource.as_deref().is_none_or(str::is_empty))
        .filter(|entry| entry.fields_v1.as_ref().is_some_and(|fields| owns(&fields.0)))
        .max_by_key(|entry| entry.time.as_ref().map(|time| time.0))
        .and_then(|entry| entry.manager.clone())
}
