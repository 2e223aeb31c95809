//! A group as one statement, with what it is given.

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row};

use super::ids;
use crate::store::shared::Fence;

type Parameter<'p> = (Box<dyn ToSql + Sync + 'p>, Type);

/// Calls of functions of the schema, of which the first is the fence.
pub(super) struct Statement<'p> {
    calls: Vec<String>,
    parameters: Vec<Parameter<'p>>,
}

impl<'p> Statement<'p> {
    /// A group that changes nothing yet. `last_queue_id` is the highest place of its letters.
    pub(super) fn new(fence: &Fence, last_queue_id: i64) -> Self {
        let mut new = Self { calls: Vec::new(), parameters: Vec::new() };
        new.call("fence_1")
            .with(ids::epoch(fence.epoch), Type::INT8)
            .with(ids::instance(fence.instance), Type::BYTEA)
            .with(ids::epoch(fence.last.epoch), Type::INT8)
            .with(ids::group(fence.last.group), Type::INT8)
            .with(last_queue_id, Type::INT8);
        new
    }

    /// Whether it leaves a mark and changes nothing else.
    pub(super) fn is_empty(&self) -> bool {
        self.calls.len() == 1
    }

    /// Another call.
    pub(super) fn call(&mut self, function: &str) -> Call<'_, 'p> {
        self.calls.push(format!("waxwing.{function}("));
        Call { statement: self, is_first: true }
    }

    /// The calls, as columns.
    fn columns(&self) -> String {
        self.calls.iter().map(|call| format!("{call})")).collect::<Vec<_>>().join(", ")
    }

    /// Sends it.
    pub(super) async fn send(&self, client: &Client) -> Result<(), Error> {
        let columns = self.columns();
        let sql = format!("SELECT {columns}");
        client.query_typed(&sql, &self.given()).await.map(|_| ())
    }

    /// Sends it, and reads something in it: `select` is from the table `fence`, which has one row.
    pub(super) async fn send_with(
        &mut self,
        client: &Client,
        select: impl FnOnce(&mut dyn FnMut(Parameter<'p>) -> String) -> String,
    ) -> Result<Vec<Row>, Error> {
        let columns = self.columns();
        let parameters = &mut self.parameters;
        let select = select(&mut |parameter| {
            parameters.push(parameter);
            format!("${}", parameters.len())
        });
        let sql = format!("WITH fence AS MATERIALIZED (SELECT {columns}) {select}");
        client.query_typed(&sql, &self.given()).await
    }

    fn given(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        self.parameters.iter().map(|(value, kind)| (&**value as _, kind.clone())).collect()
    }
}

/// A call that is being written down.
pub(super) struct Call<'s, 'p> {
    statement: &'s mut Statement<'p>,
    is_first: bool,
}

impl<'p> Call<'_, 'p> {
    /// Another argument.
    pub(super) fn with(mut self, value: impl ToSql + Sync + 'p, kind: Type) -> Self {
        self.statement.parameters.push((Box::new(value), kind));
        let number = self.statement.parameters.len();
        if let Some(call) = self.statement.calls.last_mut() {
            let comma = if self.is_first { "" } else { ", " };
            call.push_str(&format!("{comma}${number}"));
        }
        self.is_first = false;
        self
    }
}
