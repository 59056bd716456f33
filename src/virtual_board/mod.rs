//! Silicon no kinder than real, served over probe protocols that stock tools speak.
