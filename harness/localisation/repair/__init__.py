"""Small changes of the lines that an experiment marked. Which of them fixes the component is proven elsewhere."""
