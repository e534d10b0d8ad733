"""What `gc` keeps, marks and deletes."""
