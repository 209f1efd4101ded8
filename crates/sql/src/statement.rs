//! Text -> the one statement that it may hold: `SELECT`, `WITH … SELECT`, `VALUES`, or `EXPLAIN` of one of them.

use std::ops::ControlFlow;

use datafusion::{
    error::DataFusionError,
    sql::{
        parser::{DFParserBuilder, Statement},
        sqlparser::{
            ast::{Expr, Query, Statement as Ast, Visit, Visitor},
            dialect::GenericDialect,
            tokenizer::{Token, TokenWithSpan, Tokenizer},
        },
    },
};

use crate::{
    SqlError,
    error::Position,
    limits::{DEPTH_MAX, EXPRESSION_DEPTH_MAX, NODES_MAX, SQL_BYTES_MAX, TOKENS_MAX},
    names,
};

/// What is expected wherever something else was found.
pub(crate) const EXPECTED: &str = "expected one SELECT, WITH or EXPLAIN over the table `logs`";

/// Reads a statement that only reads.
///
/// # Errors
/// It is no statement, more than one, too long, or may change something.
pub(crate) fn parse(sql: &str) -> Result<Statement, SqlError> {
    if sql.len() > SQL_BYTES_MAX {
        let message =
            format!("the statement has {} bytes, expected at most {SQL_BYTES_MAX}", sql.len());
        return Err(SqlError::invalid(message));
    }
    let tokens = Tokenizer::new(&GenericDialect, sql)
        .tokenize_with_location()
        .map_err(|error| SqlError::syntax(&error.into()))?;
    let said: Vec<&TokenWithSpan> =
        tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
    if said.len() > TOKENS_MAX {
        let message = format!(
            "the statement has {} words and signs, expected at most {TOKENS_MAX}",
            said.len()
        );
        return Err(SqlError::invalid(message));
    }
    let first = said.first().map(|token| (token.token.to_string(), token.span.start));
    let (first, start) =
        first.ok_or_else(|| SqlError::invalid(format!("no statement, {EXPECTED}")))?;

    let parser = DFParserBuilder::new(tokens.clone()).with_dialect(&GenericDialect);
    let parsed = parser
        .with_recursion_limit(DEPTH_MAX)
        .build()
        .and_then(|mut parser| parser.parse_statements());
    let mut statements = parsed.map_err(|error| match error {
        DataFusionError::Diagnostic(_, inner) => syntax(*inner),
        other => syntax(other),
    })?;
    let Some(statement) = statements.pop_front() else {
        return Err(SqlError::invalid(format!("no statement, {EXPECTED}")));
    };
    if !statements.is_empty() {
        let message = format!("{} statements, {EXPECTED}", statements.len() + 1);
        return Err(SqlError::invalid(message));
    }
    let Some(query) = query(&statement) else {
        return Err(SqlError::Invalid {
            message: format!("`{}` is not offered, {EXPECTED}", first.to_uppercase()),
            position: Some(Position { line: start.line, column: start.column }),
        });
    };
    if !names::fit(query) {
        let message = format!(
            "the statement reads more than {NODES_MAX} tables once each name of WITH stands for what it names, \
             expected fewer or simpler ones"
        );
        return Err(SqlError::invalid(message));
    }
    if query.visit(&mut Depth(0)).is_break() {
        let message = format!(
            "an expression has more than {EXPRESSION_DEPTH_MAX} levels, expected fewer signs in a row, or a list: \
             `IN (…)`"
        );
        return Err(SqlError::invalid(message));
    }
    Ok(statement)
}

/// How deep the expression is that is being looked at.
struct Depth(usize);

impl Visitor for Depth {
    type Break = ();

    fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.0 += 1;
        if self.0 > EXPRESSION_DEPTH_MAX {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.0 -= 1;
        ControlFlow::Continue(())
    }
}

fn syntax(error: DataFusionError) -> SqlError {
    SqlError::from_datafusion(error, 0)
}

/// What a statement reads, if by its form it does nothing else. What it may still hide is found in its plan.
fn query(statement: &Statement) -> Option<&Query> {
    let inner = match statement {
        Statement::Explain(explain) => explain.statement.as_ref(),
        other => other,
    };
    match inner {
        Statement::Statement(ast) => match ast.as_ref() {
            Ast::Query(query) => Some(query),
            _ => None,
        },
        _ => None,
    }
}
