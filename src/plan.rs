//! Recipe and first look become a golden state and steps, or every reason there is none.
