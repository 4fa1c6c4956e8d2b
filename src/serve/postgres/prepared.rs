//! How is a statement prepared, given values, and answered?

use std::fmt::Debug;
use std::sync::Arc;

use arrow::datatypes::Schema;
use async_trait::async_trait;
use futures::{Sink, SinkExt as _};
use pgwire::api::portal::{Format, Portal};
use pgwire::api::query::ExtendedQueryHandler;
use pgwire::api::results::{
    DescribePortalResponse, DescribeResponse as _, DescribeStatementResponse, FieldInfo, Response,
};
use pgwire::api::stmt::{QueryParser, StoredStatement};
use pgwire::api::store::PortalStore;
use pgwire::api::{ClientInfo, ClientPortalStore, Type};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::PgWireBackendMessage;

use super::mistakes::{told, wrong};
use super::sent::{told_columns, whole};
use super::talk::{Known, Meaning, Talk, statements};
use super::values::given;
use crate::lakehouse::bound;
use crate::serve::error::query_status;

/// Reads statements for one conversation.
pub(super) struct Reader(Arc<Talk>);

#[async_trait]
impl QueryParser for Reader {
    type Statement = Known;

    async fn parse_sql<C>(&self, _: &C, sql: &str, _: &[Option<Type>]) -> PgWireResult<Option<Known>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        match &statements(sql)[..] {
            [] => Ok(None),
            [one] => self.0.read(one).await.map(Some),
            _ => Err(wrong("42601", "one statement at a time can be prepared".to_owned())),
        }
    }

    fn get_parameter_types(&self, known: &Known) -> PgWireResult<Vec<Type>> {
        Ok(known.meaning.places().to_vec())
    }

    fn get_result_schema(&self, known: &Known, format: Option<&Format>) -> PgWireResult<Vec<FieldInfo>> {
        let Meaning::Lake { rows: Some(rows), .. } = &known.meaning else { return Ok(Vec::new()) };
        let format = format.map_or(Format::UnifiedText, |format| whole(format, rows.fields().len()));
        told_columns(rows, &format)
    }
}

/// A conversation by prepared statements.
pub(super) struct Prepared(pub(super) Arc<Talk>);

impl Prepared {
    /// A portal's statement, with its values in it.
    fn bound(&self, portal: &Portal<Known>) -> PgWireResult<String> {
        let known = &portal.statement.statement;
        let nothing = Arc::new(Schema::empty());
        let places = match &known.meaning {
            Meaning::Lake { places, .. } => places,
            _ => &nothing,
        };
        match given(portal, places, known.meaning.places())? {
            None => Ok(known.sql.clone()),
            Some(values) => {
                bound(&known.sql, &values, 0).map_err(|mistake| told(query_status(mistake.into())))
            }
        }
    }
}

#[async_trait]
impl ExtendedQueryHandler for Prepared {
    type Statement = Known;
    type QueryParser = Reader;

    fn query_parser(&self) -> Arc<Reader> {
        Arc::new(Reader(Arc::clone(&self.0)))
    }

    async fn do_describe_statement<C>(
        &self,
        _: &mut C,
        statement: &StoredStatement<Known>,
    ) -> PgWireResult<DescribeStatementResponse>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Known>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let known = &statement.statement;
        let inferred = self.query_parser().get_parameter_types(known)?;
        let told = &statement.parameter_types;
        let types = (0..inferred.len().max(told.len())).map(|at| {
            let told = told.get(at).cloned().flatten().filter(|told| *told != Type::UNKNOWN);
            told.or_else(|| inferred.get(at).cloned()).unwrap_or(Type::TEXT)
        });
        let types: Vec<Type> = types.collect();
        let columns = match self.0.columns(known, &known.sql).await {
            Ok(columns) => columns.unwrap_or_else(Schema::empty),
            // A statement of the catalog whose places have no values yet cannot be planned.
            Err(_) if matches!(&known.meaning, Meaning::Catalog { types, .. } if !types.is_empty()) => {
                return Ok(DescribeStatementResponse::no_data());
            }
            Err(error) => return Err(error),
        };
        Ok(DescribeStatementResponse::new(types, told_columns(&columns, &Format::UnifiedText)?))
    }

    async fn do_describe_portal<C>(
        &self,
        _: &mut C,
        portal: &Portal<Known>,
    ) -> PgWireResult<DescribePortalResponse>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Known>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let sql = self.bound(portal)?;
        let columns = self.0.columns(&portal.statement.statement, &sql).await?.unwrap_or_else(Schema::empty);
        let format = whole(&portal.result_column_format, columns.fields().len());
        Ok(DescribePortalResponse::new(told_columns(&columns, &format)?))
    }

    async fn do_query<C>(&self, client: &mut C, portal: &Portal<Known>, _: usize) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Known>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let sql = self.bound(portal)?;
        let status = client.transaction_status();
        let known = &portal.statement.statement;
        let response = self.0.answer(known, &sql, status, &portal.result_column_format).await?;
        for news in self.0.news(&*self.0.client()?) {
            client.feed(news).await?;
        }
        Ok(response)
    }
}
