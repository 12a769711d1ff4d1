use serde_json::Value;

use super::RedfishController;
use super::details::optional;
use crate::bmc::error::BmcError;
use crate::bmc::fields::{Fields, members};

impl RedfishController {
    /// Reads the members of a collection, in one request if the BMC supports that. Reads at most
    /// `limit` members that need a request of their own.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub(super) async fn read_members(
        &mut self,
        path: &str,
        limit: usize,
    ) -> Result<Vec<Value>, BmcError> {
        let body = self.read_collection(path).await?;
        self.complete_members(&body, limit).await
    }

    /// Reads a collection, with its members if the BMC supports that.
    pub(super) async fn read_collection(&mut self, path: &str) -> Result<Value, BmcError> {
        if self.root.can_expand {
            let expanded = format!("{path}?$expand=.($levels=1)");
            let response = self.session.get(&expanded).await?;
            if response.is_success() {
                return Ok(response.body);
            }
        }
        Ok(self.session.require(path).await?.body)
    }

    /// Returns the members of a collection. Requests those that the collection only refers to, and
    /// skips those that cannot be read.
    pub(super) async fn complete_members(
        &mut self,
        collection: &Value,
        limit: usize,
    ) -> Result<Vec<Value>, BmcError> {
        if is_complete(collection) {
            return Ok(Fields::of(collection).items("Members").to_vec());
        }
        let mut found = Vec::new();
        for path in members(collection).iter().take(limit) {
            let member = self.session.require(path).await;
            found.extend(optional(member)?.map(|response| response.body));
        }
        Ok(found)
    }
}

/// Reports whether a collection holds its members, not only references to them.
pub(super) fn is_complete(collection: &Value) -> bool {
    let members = Fields::of(collection).items("Members");
    let is_complete = |member: &Value| Fields::of(member).has("Id");
    members.iter().all(is_complete)
}
