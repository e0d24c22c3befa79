"""The workbook as a site of static pages, made by `make site`: nbconvert's cells, our frame, a MathJax of its own."""
