//! Functions whose value can be longer than their arguments, with a bound on what one call makes.
//!
//! `replace` in `replace` makes a thousand times a thousand bytes of one, and nobody counts them. A call that may make
//! too much is made for fewer rows, and refused when one row alone may, or what was made is too much.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray},
        compute::{concat, kernels::concat_elements::concat_elements_utf8},
        datatypes::DataType,
    },
    common::{DFSchema, cast::as_string_array, exec_err, plan_err},
    error::Result,
    logical_expr::{
        ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
        Signature, Volatility,
        planner::{ExprPlanner, PlannerResult, RawBinaryExpr},
    },
    sql::sqlparser::ast::BinaryOperator,
};

use crate::limits::CALL_BYTES_MAX;

/// How long a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Growth {
    /// As long as all arguments together.
    Together,
    /// The third argument, at each place of the first.
    Replacement,
    /// The first argument, for each parenthesis of the second.
    Captures,
    /// What the second argument becomes as the form of a time: two characters become at most 40.
    Form,
}

/// A function with a bound.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Bounded {
    inner: Arc<ScalarUDF>,
    growth: Growth,
}

impl Bounded {
    pub(crate) fn new(inner: Arc<ScalarUDF>, growth: Growth) -> Self {
        Self { inner, growth }
    }

    /// The most bytes that the call may make.
    fn estimate(&self, arguments: &ScalarFunctionArgs) -> usize {
        let rows = arguments.number_rows;
        let argument = |place: usize| arguments.args.get(place);
        let bytes = |place: usize| argument(place).map_or(0, |value| bytes(value, rows));
        match self.growth {
            Growth::Together => (0..arguments.args.len()).map(bytes).fold(0, usize::saturating_add),
            Growth::Replacement => {
                let longest = argument(2).map_or(0, |value| longest(value, str::len));
                bytes(0).saturating_add(rows).saturating_mul(1 + longest)
            }
            Growth::Captures => {
                let groups = |pattern: &str| pattern.bytes().filter(|&byte| byte == b'(').count();
                let most = argument(1).map_or(0, |value| longest(value, groups));
                bytes(0).saturating_mul(1 + most)
            }
            Growth::Form => {
                let longest = argument(1).map_or(0, |value| longest(value, str::len));
                rows.saturating_mul(20).saturating_mul(longest)
            }
        }
    }

    fn call(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let estimate = self.estimate(&arguments);
        if estimate <= CALL_BYTES_MAX {
            return self.inner.invoke_with_args(arguments);
        }
        let rows = arguments.number_rows;
        let scalar = arguments.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        if rows <= 1 || scalar {
            return exec_err!(
                "`{}` could make a text of {estimate} bytes, expected at most {CALL_BYTES_MAX}",
                self.name()
            );
        }
        let half = rows / 2;
        let first = self.call(part(&arguments, 0, half))?.into_array(half)?;
        let second = self.call(part(&arguments, half, rows - half))?.into_array(rows - half)?;
        let made = first.get_buffer_memory_size().saturating_add(second.get_buffer_memory_size());
        if made > CALL_BYTES_MAX {
            return exec_err!(
                "`{}` made more than {CALL_BYTES_MAX} bytes of {rows} rows, expected shorter texts",
                self.name()
            );
        }
        Ok(ColumnarValue::Array(concat(&[&first, &second])?))
    }
}

/// Some rows of a call.
fn part(arguments: &ScalarFunctionArgs, start: usize, rows: usize) -> ScalarFunctionArgs {
    let args = arguments.args.iter().map(|value| match value {
        ColumnarValue::Array(array) => ColumnarValue::Array(array.slice(start, rows)),
        scalar @ ColumnarValue::Scalar(_) => scalar.clone(),
    });
    ScalarFunctionArgs { args: args.collect(), number_rows: rows, ..arguments.clone() }
}

/// Bytes of a value, once for each row.
fn bytes(value: &ColumnarValue, rows: usize) -> usize {
    match value {
        ColumnarValue::Array(array) => array_bytes(array),
        ColumnarValue::Scalar(scalar) => scalar.size().saturating_mul(rows),
    }
}

fn array_bytes(array: &ArrayRef) -> usize {
    match array.data_type() {
        DataType::Utf8View => array.as_string_view().lengths().map(|length| length as usize).sum(),
        _ => array.to_data().get_slice_memory_size().unwrap_or(usize::MAX),
    }
}

/// The largest measure of a text among the values; everything else has none.
fn longest(value: &ColumnarValue, measure: impl Fn(&str) -> usize) -> usize {
    match value {
        ColumnarValue::Scalar(scalar) => scalar.try_as_str().flatten().map_or(0, measure),
        ColumnarValue::Array(array) => match array.data_type() {
            DataType::Utf8 => array.as_string::<i32>().iter().flatten().map(measure).max(),
            DataType::LargeUtf8 => array.as_string::<i64>().iter().flatten().map(measure).max(),
            DataType::Utf8View => array.as_string_view().iter().flatten().map(measure).max(),
            _ => None,
        }
        .unwrap_or(0),
    }
}

// Not `simplify`: it would put a call of the unbounded function in the place of this one.
impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(
        &self,
        arguments: ReturnFieldArgs,
    ) -> Result<datafusion::arrow::datatypes::FieldRef> {
        self.inner.return_field_from_args(arguments)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.call(arguments)
    }
}

/// Plans `a || b` and `[a, b]` as calls that have a bound.
#[derive(Debug)]
pub(crate) struct Growing {
    text: Arc<ScalarUDF>,
    array: Option<Arc<ScalarUDF>>,
}

impl Growing {
    pub(crate) fn new(array: Option<Arc<ScalarUDF>>) -> Self {
        let joined = Arc::new(ScalarUDF::new_from_impl(Joined::new()));
        Self {
            text: Arc::new(ScalarUDF::new_from_impl(Bounded::new(joined, Growth::Together))),
            array,
        }
    }
}

impl ExprPlanner for Growing {
    fn plan_binary_op(
        &self,
        expression: RawBinaryExpr,
        _: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        if expression.op != BinaryOperator::StringConcat {
            return Ok(PlannerResult::Original(expression));
        }
        let texts = [expression.left, expression.right]
            .map(|side| datafusion::logical_expr::cast(side, DataType::Utf8));
        Ok(PlannerResult::Planned(self.text.call(texts.into())))
    }

    fn plan_array_literal(
        &self,
        elements: Vec<Expr>,
        _: &DFSchema,
    ) -> Result<PlannerResult<Vec<Expr>>> {
        match &self.array {
            Some(array) => Ok(PlannerResult::Planned(array.call(elements))),
            None => plan_err!("lists are not offered"),
        }
    }
}

/// `a || b`: nothing if either is nothing.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Joined(Signature);

impl Joined {
    fn new() -> Self {
        Self(Signature::exact(vec![DataType::Utf8, DataType::Utf8], Volatility::Immutable))
    }
}

impl ScalarUDFImpl for Joined {
    fn name(&self) -> &'static str {
        "||"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [left, right] = arrays.as_slice() else {
            return exec_err!("`||` takes two texts");
        };
        let joined = concat_elements_utf8(as_string_array(left)?, as_string_array(right)?)?;
        Ok(ColumnarValue::Array(Arc::new(joined)))
    }
}
