//! How do rows travel by `COPY`?
//!
//! `COPY … TO STDOUT` sends the rows of a table or a query as lines, `COPY … FROM STDIN` inserts those that come: all of them as one release, or
//! none. As text or CSV. Without these two words COPY is the lake's own statement, of files.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema};
use async_trait::async_trait;
use futures::{Sink, SinkExt as _, StreamExt as _};
use pgwire::api::copy::CopyHandler;
use pgwire::api::results::{CopyResponse, Response, Tag};
use pgwire::api::{ClientInfo, Type};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::copy::{CopyData, CopyDone, CopyFail};
use pgwire::messages::data::DataRow;

use super::copy_order::Copy;
use super::mistakes::{told, wrong};
use super::talk::{Meaning, Talk};
use super::values::{together, written};
use crate::lakehouse::bound_rows;
use crate::serve::clients::{Client, locked};
use crate::serve::error::query_status;

/// Bytes that come by one COPY at most.
const MOST: usize = 1 << 30;

/// Rows that are inserted at once.
const AT_ONCE: usize = 1_000;

/// What comes until it is done.
#[derive(Debug)]
pub(super) struct Coming {
    copy: Copy,
    columns: Vec<(String, Type)>,
    bytes: Vec<u8>,
}

impl Talk {
    /// Sends rows.
    pub(super) async fn copy_out(&self, client: &Arc<Client>, copy: &Copy) -> PgWireResult<Response> {
        let (fields, rows) = self.lines(client, &copy.select).await?;
        let names: Vec<Option<String>> = fields.iter().map(|field| Some(field.name().to_owned())).collect();
        let columns = names.len();
        let (copy, mut header) = (copy.clone(), copy.header.then(|| copy.line(&names)));
        let lines = rows.map(move |row| {
            let mut line = header.take().unwrap_or_default();
            line.push_str(&copy.line(&cells(&row?)?));
            Ok(CopyData::new(line.into_bytes().into()))
        });
        Ok(Response::CopyOut(CopyResponse::new(0, columns, lines)))
    }

    /// Waits for rows.
    pub(super) async fn copy_in(&self, copy: &Copy) -> PgWireResult<Response> {
        let known = self.read(&copy.select).await?;
        let Meaning::Lake { rows: Some(rows), .. } = known.meaning else {
            return Err(wrong("42P01", "rows are copied into a table".to_owned()));
        };
        let column = |field: &arrow::datatypes::FieldRef| {
            let meant = arrow_pg::datatypes::into_pg_type(field.data_type()).unwrap_or(Type::TEXT);
            (field.name().clone(), meant)
        };
        let columns: Vec<(String, Type)> = rows.fields().iter().map(column).collect();
        let count = columns.len();
        *locked(&self.coming) = Some(Coming { copy: copy.clone(), columns, bytes: Vec::new() });
        Ok(Response::CopyIn(CopyResponse::new(0, count, futures::stream::empty())))
    }

    /// Inserts what has come. Returns how many rows there were.
    async fn insert(&self, coming: Coming) -> PgWireResult<usize> {
        let client = self.client()?;
        let text = String::from_utf8(coming.bytes)
            .map_err(|_| wrong("22021", "what is copied is no text in UTF-8".to_owned()))?;
        let rows = coming.copy.rows(&text).map_err(|what| wrong("22P04", what))?;
        let marks: Vec<String> = (1..=coming.columns.len()).map(|place| format!("${place}")).collect();
        let insert = format!("{} values ({})", coming.copy.insert, marks.join(", "));
        let open = self.transaction();
        let id = match &open {
            Some(id) => id.clone(),
            None => self.endpoint.begin(&client).map_err(told)?,
        };
        let done = async {
            for (at, some) in rows.chunks(AT_ONCE).enumerate() {
                let batch = batch(&coming.columns, some, at * AT_ONCE)?;
                let statements =
                    bound_rows(&insert, &batch).map_err(|mistake| told(query_status(mistake.into())))?;
                for sql in statements {
                    self.endpoint.done(&client, Some(id.as_bytes()), &sql).await.map_err(told)?;
                }
            }
            Ok(rows.len())
        };
        let done = done.await;
        if open.is_none() {
            self.endpoint.end(&client, id.as_bytes(), done.is_ok()).await.map_err(told)?;
        }
        done
    }
}

/// Rows as columns of the types that the table has.
fn batch(
    columns: &[(String, Type)],
    rows: &[Vec<Option<String>>],
    before: usize,
) -> PgWireResult<RecordBatch> {
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns.len());
    for (place, (name, meant)) in columns.iter().enumerate() {
        let mut cells = Vec::with_capacity(rows.len());
        for (at, row) in rows.iter().enumerate() {
            let line = before + at + 1;
            if row.len() != columns.len() {
                let what = format!("row {line} has {} columns, and {} are wanted", row.len(), columns.len());
                return Err(wrong("22P04", what));
            }
            let text = row[place].as_deref();
            let cell = text.map(|text| written(text, meant, place)).transpose();
            let cell = cell.map_err(|_| {
                let what = format!(
                    "`{}` cannot be read as {meant}: row {line}, column `{name}`",
                    text.unwrap_or_default()
                );
                wrong("22P02", what)
            })?;
            cells.push(cell.unwrap_or_else(|| super::values::nothing(meant)));
        }
        arrays.push(together(&cells, meant)?);
    }
    let field =
        |(at, array): (usize, &ArrayRef)| Field::new(format!("c{at}"), array.data_type().clone(), true);
    let schema = Schema::new(arrays.iter().enumerate().map(field).collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), arrays).map_err(|error| wrong("XX000", error.to_string()))
}

/// The texts of a row that was written for the protocol.
fn cells(row: &DataRow) -> PgWireResult<Vec<Option<String>>> {
    let broken = || wrong("XX000", "a row cannot be copied".to_owned());
    let mut rest = &row.data[..];
    let mut cells = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        match usize::try_from(i32::from_be_bytes(*length)) {
            Err(_) => {
                cells.push(None);
                rest = tail;
            }
            Ok(length) => {
                let (text, tail) = tail.split_at_checked(length).ok_or_else(broken)?;
                cells.push(Some(String::from_utf8(text.to_vec()).map_err(|_| broken())?));
                rest = tail;
            }
        }
    }
    Ok(cells)
}

#[async_trait]
impl CopyHandler for Talk {
    async fn on_copy_data<C>(&self, _: &mut C, data: CopyData) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let mut coming = locked(&self.coming);
        let Some(coming) = coming.as_mut() else { return Ok(()) };
        if coming.bytes.len() + data.data.len() > MOST {
            return Err(wrong(
                "53400",
                "more than 1 GiB comes by one COPY\nhelp: copy it in parts".to_owned(),
            ));
        }
        coming.bytes.extend_from_slice(&data.data);
        Ok(())
    }

    async fn on_copy_done<C>(&self, client: &mut C, _: CopyDone) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let coming = locked(&self.coming).take();
        let rows = match coming {
            Some(coming) => Box::pin(self.insert(coming)).await?,
            None => 0,
        };
        let tag = Tag::new("COPY").with_rows(rows);
        client.send(PgWireBackendMessage::CommandComplete(tag.into())).await?;
        Ok(())
    }

    async fn on_copy_fail<C>(&self, _: &mut C, fail: CopyFail) -> PgWireError
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        locked(&self.coming).take();
        wrong("57014", format!("nothing was copied, because the client stopped: {}", fail.message))
    }
}
