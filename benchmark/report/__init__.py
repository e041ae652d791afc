"""Report: a bench run as one page. answers reads files, pictures and cloud draw them, charts and page lay them out."""
